// Synthesises the example in the folder `CDK_OUTDIR`, and a stack for each set of features in the folder of the argument, in one
// process: `CDK_OUTDIR=cdk.out tsx test/features.ts features.out`. Checks that the construct rejects what AWS would. `python/test/features.py` makes the same stacks.

import { throws } from 'node:assert/strict';

import { App, NestedStack, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as lambda from 'aws-cdk-lib/aws-lambda';

import { Crossfade, CrossfadeProps } from '../lib/crossfade';

require('../bin/app');

const app = new App({ outdir: process.argv[2] });
const required = () => ({
  listenerArn: process.env.ALB_LISTENER_ARN ?? '',
  code: lambda.Code.fromAsset('bootstrap.zip'),
  rules: [{ priority: 110, path: ['/api/*'] }],
});

function stack(name: string, props: Partial<CrossfadeProps> | ((stack: Stack) => Partial<CrossfadeProps>)) {
  const stack = new Stack(app, name);
  new Crossfade(stack, 'Crossfade', { ...required(), ...(typeof props === 'function' ? props(stack) : props) });
}

const layer = 'arn:aws:lambda:eu-west-1:123456789012:layer:AWS-AppConfig-Extension:1';
stack('s3', { live: 's3' });
stack('s3-alarm', { live: 's3', liveAlarm: true });
stack('s3-all', { live: 's3', liveAlarm: true, liveSchedule: true, livePeople: true });
stack('ssm', { live: 'ssm' });
stack('ssm-all', { live: 'ssm', liveAlarm: true, liveSchedule: true, livePeople: true });
stack('appconfig', { live: 'appconfig', appConfigLayerArn: layer, livePeople: true });
stack('spill', { spill: true });
stack('monitoring', { monitoring: true, alarmActions: ['arn:aws:sns:eu-west-1:123456789012:on-call'] });
stack('tracing', { tracing: lambda.Tracing.ACTIVE });
stack('vpc', (stack) => ({
  reservedConcurrency: -1,
  environment: { MODERN: 'https://modern.example.com' },
  architecture: lambda.Architecture.ARM_64,
  vpc: ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-0a1b2c3d4e5f60000',
    availabilityZones: ['eu-west-1a', 'eu-west-1b'],
    privateSubnetIds: ['subnet-0a1b2c3d4e5f60001', 'subnet-0a1b2c3d4e5f60002'],
  }),
  securityGroups: [ec2.SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-0a1b2c3d4e5f60003')],
}));

const scratch = new App({ autoSynth: false });
let count = 0;
function rejects(props: Partial<CrossfadeProps>, message: RegExp) {
  const stack = new Stack(scratch, `rejected-${(count += 1)}`);
  throws(() => new Crossfade(stack, 'Crossfade', { ...required(), ...props }), message);
}
const header = { name: 'x', values: ['4', '5', '6'] };
rejects({ rules: [{ priority: 1, path: ['/1', '/2', '/3'], header: [header] }] }, /priority 1: it has 6 condition values/);
rejects({ rules: [{ priority: 1 }] }, /it has 0 condition values/);
rejects({ rules: [{ priority: 1, path: ['/1'], header: [{ name: 'x', values: [] }] }] }, /at least one value/);
rejects({ rules: [{ priority: 0, path: ['/1'] }] }, /from 1 to 50000/);
rejects({ rules: [1, 1].map((priority) => ({ priority, path: ['/1'] })) }, /a priority of its own/);
rejects({ name: 'a-name-that-is-longer-than-target-groups-have' }, /at most 32/);
rejects({ liveAlarm: true }, /`liveAlarm` and `liveSchedule` need/);
rejects({ live: 'appconfig', appConfigLayerArn: layer, liveSchedule: true }, /`liveAlarm` and `liveSchedule` need/);
rejects({ live: 'appconfig' }, /needs `appConfigLayerArn`/);
rejects({ livePeople: true }, /`livePeople` needs `live`/);
const nested = new NestedStack(new Stack(scratch, 'parent'), 'nested');
throws(() => new Crossfade(nested, 'Crossfade', required()), /set `name`/);
