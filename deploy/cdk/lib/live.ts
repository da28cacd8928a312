// Live state: the small document with which a step of the migration needs no deployment. The function may read it, and write it
// only if an alarm or a schedule moves users.

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as appconfig from 'aws-cdk-lib/aws-appconfig';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

import { arn } from './arn';
import { addAlarm, addPeople, addSchedule } from './movers';

export interface LiveProps {
  /**
   * Place of the live state.
   * @default none
   */
  readonly live?: 'none' | 's3' | 'ssm' | 'appconfig';
  /**
   * With `live: 'appconfig'`: the layer of AppConfig's extension in your region.
   * https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-integration-lambda-extensions-versions.html
   */
  readonly appConfigLayerArn?: string;
  /**
   * An alarm on the failed responses of `liveAlarmBackend` takes all users back. Needs its name in `migration`:
   * `alarms: [NAME-modern-errors]`.
   * @default false
   */
  readonly liveAlarm?: boolean;
  /**
   * Name in crossfade.yaml of the back end that `liveAlarm` watches.
   * @default modern
   */
  readonly liveAlarmBackend?: string;
  /**
   * Every five minutes the function takes the next step of the migration, or all users back. Needs `schedule: advance` or
   * `schedule: abort` in `migration`.
   * @default false
   */
  readonly liveSchedule?: boolean;
  /**
   * Policies to attach to the roles of people and pipelines: for all commands, for the log as their evidence, and for `crossfade
   * abort` alone.
   * @default false
   */
  readonly livePeople?: boolean;
}

/** The function with what belongs to it. */
export interface Proxy {
  readonly function: lambda.Function;
  readonly logGroup: logs.LogGroup;
  readonly role: iam.Role;
  readonly name: string;
}

/** Undefined and empty without live state. */
export interface Live {
  readonly place?: string;
  readonly policies: iam.ManagedPolicy[];
}

/** A place, and what those who use it may do there. */
interface Place {
  readonly place: string;
  readonly read: iam.PolicyStatement[];
  /** For the function. Undefined where it cannot write: AppConfig's own alarms roll back. */
  readonly write?: iam.PolicyStatement[];
  /** For people and pipelines. */
  readonly operate: iam.PolicyStatement[];
  /** For those who may only abort. */
  readonly abort: iam.PolicyStatement[];
}

const KEY = 'live.json';

export function addLive(scope: Construct, proxy: Proxy, props: LiveProps): Live {
  const kind = props.live ?? 'none';
  if ((kind === 'appconfig') !== (props.appConfigLayerArn !== undefined)) {
    throw new Error("`live: 'appconfig'` needs `appConfigLayerArn`, and no other value of `live` does");
  }
  const places = { s3: inBucket, ssm: inParameter, appconfig: inAppConfig };
  const place = kind === 'none' ? undefined : places[kind](scope, proxy, props);
  if ((props.liveAlarm || props.liveSchedule) && !place?.write) {
    throw new Error("`liveAlarm` and `liveSchedule` need `live: 's3'` or `live: 'ssm'`. With AppConfig, use the alarms of its environment");
  }
  if (props.livePeople && !place) {
    throw new Error('`livePeople` needs `live`');
  }
  if (!place) {
    return { policies: [] };
  }
  proxy.function.addEnvironment('CROSSFADE_LIVE', place.place);
  place.read.forEach((statement) => proxy.role.addToPolicy(statement));
  if (props.liveAlarm || props.liveSchedule) {
    place.write?.forEach((statement) => proxy.role.addToPolicy(statement));
  }
  if (props.liveAlarm) {
    addAlarm(scope, proxy, props.liveAlarmBackend ?? 'modern');
  }
  if (props.liveSchedule) {
    addSchedule(scope, proxy);
  }
  const policies = props.livePeople ? addPeople(scope, proxy, place.operate, place.abort) : [];
  return { place: place.place, policies };
}

function allow(actions: string[], resources: string[], conditions?: Record<string, unknown>): iam.PolicyStatement {
  return new iam.PolicyStatement({ actions, resources, conditions });
}

function inBucket(scope: Construct): Place {
  // Encrypted with keys of S3 (SSE-S3): a key of KMS would add its price and its limits to every read.
  const bucket = new s3.Bucket(scope, 'LiveBucket', {
    encryption: s3.BucketEncryption.S3_MANAGED,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    // The history: `crossfade history` lists it, and `crossfade undo` returns to a version of it.
    versioned: true,
    lifecycleRules: [
      {
        id: 'earlier-versions',
        noncurrentVersionExpiration: Duration.days(90),
        noncurrentVersionsToRetain: 100,
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
    ],
    // Without the state, everyone would be where the file says. So it outlives the stack.
    removalPolicy: RemovalPolicy.RETAIN,
  });
  bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);
  const object = [bucket.arnForObjects(KEY)];
  const ifKey = { StringEquals: { 's3:prefix': KEY } };
  const write = () => [allow(['s3:PutObject'], object)];
  return {
    place: `s3://${bucket.bucketName}/${KEY}`,
    read: [
      allow(['s3:GetObject'], object),
      // Without it, S3 responds 403 instead of 404 until there is a state, and that is an error.
      allow(['s3:ListBucket'], [bucket.bucketArn], ifKey),
    ],
    write: write(),
    operate: [
      allow(['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject'], object),
      allow(['s3:ListBucket', 's3:ListBucketVersions'], [bucket.bucketArn], ifKey),
    ],
    abort: write(),
  };
}

/** The first change creates the parameter: one of the stack would be reset by a deployment. */
function inParameter(_scope: Construct, proxy: Proxy): Place {
  const name = `/${proxy.name}/live`;
  const parameter = [arn('ssm', `parameter${name}`)];
  // A parameter cannot be written on a condition. So a writer first creates a claim next to it, and deletes it afterwards.
  const claims = () =>
    allow(['ssm:GetParameter', 'ssm:PutParameter', 'ssm:DeleteParameter'], [arn('ssm', `parameter${name}.claim-*`)]);
  return {
    place: `ssm:${name}`,
    read: [allow(['ssm:GetParameter'], parameter)],
    write: [allow(['ssm:PutParameter'], parameter), claims()],
    operate: [allow(['ssm:GetParameter', 'ssm:GetParameterHistory', 'ssm:PutParameter'], parameter), claims()],
    abort: [allow(['ssm:PutParameter'], parameter)],
  };
}

/** A configuration of AppConfig, read through its extension. */
function inAppConfig(scope: Construct, proxy: Proxy, props: LiveProps): Place {
  const application = new appconfig.CfnApplication(scope, 'LiveApplication', { name: proxy.name });
  const environment = new appconfig.CfnEnvironment(scope, 'LiveEnvironment', { applicationId: application.ref, name: 'live' });
  const profile = new appconfig.CfnConfigurationProfile(scope, 'LiveProfile', {
    applicationId: application.ref,
    name: 'live',
    locationUri: 'hosted',
    type: 'AWS.Freeform',
  });
  [application, environment, profile].forEach((resource) => resource.applyRemovalPolicy(RemovalPolicy.RETAIN));
  const layer = lambda.LayerVersion.fromLayerVersionArn(scope, 'AppConfigLayer', props.appConfigLayerArn ?? '');
  proxy.function.addLayers(layer);
  // By default it looks for a change every 45 s.
  proxy.function.addEnvironment('AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS', '15');

  const ofApplication = arn('appconfig', `application/${application.ref}`);
  const ofEnvironment = `${ofApplication}/environment/${environment.ref}`;
  const ofProfile = `${ofApplication}/configurationprofile/${profile.ref}`;
  const versions = [ofApplication, ofProfile, `${ofProfile}/hostedconfigurationversion/*`];
  const strategy = arn('appconfig', 'deploymentstrategy/AppConfig.AllAtOnce');
  const abort = () => [
    allow(['appconfig:CreateHostedConfigurationVersion'], [ofApplication, ofProfile]),
    // At once: in a gradual deployment, environments would decide by different weights, and users would change back and forth.
    allow(['appconfig:StartDeployment'], [ofApplication, ofProfile, ofEnvironment, strategy]),
    // The deployment before, which watches alarms for ten minutes, is stopped. A version that cannot be deployed is deleted.
    allow(
      ['appconfig:ListDeployments', 'appconfig:StopDeployment'],
      [ofApplication, ofEnvironment, `${ofEnvironment}/deployment/*`],
    ),
    allow(['appconfig:DeleteHostedConfigurationVersion'], versions),
  ];
  return {
    place: `appconfig:${application.ref}/${environment.ref}/${profile.ref}`,
    read: [
      allow(
        ['appconfig:StartConfigurationSession', 'appconfig:GetLatestConfiguration'],
        [`${ofEnvironment}/configuration/${profile.ref}`],
      ),
    ],
    operate: [
      ...abort(),
      allow(['appconfig:ListHostedConfigurationVersions', 'appconfig:GetHostedConfigurationVersion'], versions),
    ],
    abort: abort(),
  };
}
