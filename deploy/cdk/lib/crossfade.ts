// The construct: the function with its log group and role. The role may do what an enabled feature needs, and nothing else.
// `rules.ts` has the listener, `live.ts`, `spill.ts` and `monitoring.ts` what is off by default.

import { Duration, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

import { Live, LiveProps, addLive } from './live';
import { addMonitoring } from './monitoring';
import { Rule, addRules, checkRules } from './rules';
import { addSpill } from './spill';

export { Rule } from './rules';
export { Live } from './live';

export interface CrossfadeProps extends LiveProps {
  /** ARN of the existing listener that gets the rules. */
  readonly listenerArn: string;
  /** Requests that go through the proxy. */
  readonly rules: Rule[];
  /** The zip file of `crossfade package`: `lambda.Code.fromAsset('bootstrap.zip')` or `fromBucketV2`. */
  readonly code: lambda.Code;
  /**
   * Name of the target group and beginning of other names, at most 32 characters.
   * @default - the name of the stack
   */
  readonly name?: string;
  /**
   * All requests go to this back end. The function does not start with both this and a configuration in the package.
   * @default - the package has a configuration
   */
  readonly backend?: string;
  /** Further environment variables: those that crossfade.yaml uses, and settings of Crossfade. */
  readonly environment?: Record<string, string>;
  /**
   * Architecture of the package.
   * @default x86_64
   */
  readonly architecture?: lambda.Architecture;
  /**
   * Memory in MB. Lambda gives CPU in proportion.
   * @default 128
   */
  readonly memorySize?: number;
  /**
   * Longer than any response takes. The function responds with 504 shortly before.
   * @default 30 seconds
   */
  readonly timeout?: Duration;
  /**
   * Prevents a back end that hangs from using up the concurrency of the account: requests per second x seconds per request, and twice
   * that for a bad hour. -1 reserves nothing, for accounts with a low limit: AWS keeps 100 unreserved.
   * @default 50
   */
  readonly reservedConcurrency?: number;
  /** @default two weeks */
  readonly logRetention?: logs.RetentionDays;
  /** Network from which back ends with private addresses can be reached. */
  readonly vpc?: ec2.IVpc;
  /** @default - private subnets of `vpc` */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** @default - one of its own */
  readonly securityGroups?: ec2.ISecurityGroup[];
  /**
   * X-Ray: `PASS_THROUGH` (off) or `ACTIVE`.
   * @default PASS_THROUGH
   */
  readonly tracing?: lambda.Tracing;
  /**
   * A bucket for responses that the load balancer cannot carry: `spill: { bucket: '${env:SPILL_BUCKET}' }` in crossfade.yaml.
   * @default false
   */
  readonly spill?: boolean;
  /**
   * A dashboard of the log, and alarms.
   * @default false
   */
  readonly monitoring?: boolean;
  /** With `monitoring`: ARNs of SNS topics that the alarms notify. */
  readonly alarmActions?: string[];
}

/** Crossfade behind a listener of an existing Application Load Balancer. */
export class Crossfade extends Construct {
  readonly function: lambda.Function;
  readonly logGroup: logs.LogGroup;
  /** ARN of the function's target group, for rules of your own. */
  readonly targetGroupArn: string;
  /** Place of the live state, for `crossfade status --live`; without live state undefined. */
  readonly livePlace?: string;
  /** With `livePeople`: policies for people and pipelines. */
  readonly livePolicies: iam.ManagedPolicy[];

  constructor(scope: Construct, id: string, props: CrossfadeProps) {
    super(scope, id);
    const name = checkedName(props.name, Stack.of(this).stackName);
    checkRules(props.rules);

    this.logGroup = new logs.LogGroup(this, 'LogGroup', {
      retention: props.logRetention ?? logs.RetentionDays.TWO_WEEKS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // Not the role that the CDK would make: that one may write all logs of the account.
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [this.logGroup.logGroupArn],
      }),
    );
    if (props.vpc) {
      // AWSLambdaVPCAccessExecutionRole without its permissions for all logs of the account.
      role.addToPolicy(
        new iam.PolicyStatement({
          actions: [
            'ec2:AssignPrivateIpAddresses',
            'ec2:CreateNetworkInterface',
            'ec2:DeleteNetworkInterface',
            'ec2:DescribeNetworkInterfaces',
            'ec2:DescribeSubnets',
            'ec2:UnassignPrivateIpAddresses',
          ],
          // Lambda names the interfaces, and they do not exist yet.
          resources: ['*'],
        }),
      );
    }
    const reserved = props.reservedConcurrency ?? 50;
    this.function = new lambda.Function(this, 'Function', {
      description: 'Crossfade, the reverse proxy of this migration',
      code: props.code,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
      architecture: props.architecture ?? lambda.Architecture.X86_64,
      memorySize: props.memorySize ?? 128,
      timeout: props.timeout ?? Duration.seconds(30),
      reservedConcurrentExecutions: reserved < 0 ? undefined : reserved,
      logGroup: this.logGroup,
      role,
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: props.securityGroups,
      environment: {
        ...props.environment,
        ...(props.backend === undefined ? {} : { CROSSFADE_BACKEND: props.backend }),
      },
    });
    this.addTracing(role, props.tracing ?? lambda.Tracing.PASS_THROUGH);
    this.targetGroupArn = addRules(this, this.function, name, props.listenerArn, props.rules);

    const live: Live = addLive(this, { function: this.function, logGroup: this.logGroup, role, name }, props);
    this.livePlace = live.place;
    this.livePolicies = live.policies;
    if (props.spill) {
      addSpill(this, this.function, role);
    }
    if (props.monitoring) {
      addMonitoring(this, this.function, this.logGroup, name, props.alarmActions ?? []);
    }
  }

  /** The function of the CDK would give the permissions for `PASS_THROUGH`, too. */
  private addTracing(role: iam.Role, tracing: lambda.Tracing) {
    const isActive = tracing === lambda.Tracing.ACTIVE;
    const resource = this.function.node.defaultChild as lambda.CfnFunction;
    resource.tracingConfig = { mode: isActive ? 'Active' : 'PassThrough' };
    if (isActive) {
      role.addToPolicy(
        // IAM has no resources for these actions.
        new iam.PolicyStatement({ actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], resources: ['*'] }),
      );
    }
  }
}

function checkedName(name: string | undefined, ofStack: string): string {
  if (name === undefined && Token.isUnresolved(ofStack)) {
    throw new Error('set `name`: the name of a nested stack is not known before it is deployed');
  }
  const chosen = name ?? ofStack;
  if (!Token.isUnresolved(chosen) && !/^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/.test(chosen)) {
    throw new Error(`\`name\` is \`${chosen}\`: a target group's name has at most 32 letters, digits and hyphens; set \`name\``);
  }
  return chosen;
}
