// Crossfade behind a listener of an existing Application Load Balancer. README.md has the commands.

import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';

import { Crossfade } from '../lib/crossfade';

const listenerArn = process.env.ALB_LISTENER_ARN;
if (!listenerArn) {
  throw new Error('set ALB_LISTENER_ARN to the ARN of the listener: EC2 console, Load balancers, Listeners');
}
// arn:PARTITION:elasticloadbalancing:REGION:ACCOUNT:listener/…
const [, , , region, account] = listenerArn.split(':');

const app = new App();
const stack = new Stack(app, 'crossfade', {
  description: 'Crossfade, the reverse proxy of a migration',
  env: { account, region },
});

const crossfade = new Crossfade(stack, 'Crossfade', {
  listenerArn,
  // Created by `crossfade package --output bootstrap.zip`.
  code: lambda.Code.fromAsset('bootstrap.zip'),
  // All requests go to this back end. Leave it out if the package has a configuration.
  backend: process.env.CROSSFADE_BACKEND,
  // The listener uses the first rule, by priority, whose conditions all hold. Values of one condition are alternatives.
  rules: [
    // Start here: only read requests of one area pass through the proxy.
    { priority: 110, path: ['/api/orders/*'], method: ['GET', 'HEAD'] },
    // Testers who send a field.
    { priority: 120, header: [{ name: 'x-crossfade', values: ['on', 'preview-*'] }] },
    // Testers who type `?crossfade=on`.
    { priority: 130, query: [{ key: 'crossfade', value: 'on' }] },
    // The office, on one host.
    { priority: 140, host: ['shop.example.com'], ip: ['192.0.2.0/24', '2001:db8::/32'] },
  ],
});

new CfnOutput(stack, 'LogGroup', { value: crossfade.logGroup.logGroupName });
if (crossfade.livePlace) {
  new CfnOutput(stack, 'LivePlace', { value: crossfade.livePlace });
}
