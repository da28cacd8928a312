// Who else may move users, besides the commands: an alarm that takes all users back, a schedule, and policies for people.

import { Aws, Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';

import { arn } from './arn';
import type { Proxy } from './live';

/** Takes all users back when more than 5 % of the responses of `backend` fail. */
export function addAlarm(scope: Construct, proxy: Proxy, backend: string) {
  // The metrics come from the access log, so they count this back end alone. `target` is there if failover replaced its response.
  const counted = (id: string, metricName: string, pattern: string) => {
    new logs.MetricFilter(scope, id, {
      logGroup: proxy.logGroup,
      filterPattern: logs.FilterPattern.literal(`{ $.type = "access" && ${pattern} }`),
      metricNamespace: proxy.name,
      metricName,
      metricValue: '1',
    });
    return new cloudwatch.Metric({ namespace: proxy.name, metricName, statistic: 'Sum', period: Duration.minutes(1) });
  };
  const requests = counted('LiveRequests', `${backend}-requests`, `($.backend = "${backend}" || $.target = "${backend}")`);
  const errors = counted(
    'LiveErrors',
    `${backend}-errors`,
    `(($.backend = "${backend}" && $.status >= 500) || $.target = "${backend}")`,
  );
  const alarm = new cloudwatch.Alarm(scope, 'LiveAlarm', {
    alarmName: `${proxy.name}-${backend}-errors`,
    alarmDescription: `More than 5 % of the responses of ${backend} fail: all users go back`,
    metric: new cloudwatch.MathExpression({
      label: `Errors of ${backend} in percent`,
      expression: 'IF(requests >= 20, 100 * errors / requests, 0)',
      usingMetrics: { requests, errors },
      period: Duration.minutes(1),
    }),
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    threshold: 5,
    evaluationPeriods: 1,
    // No requests, no alarm.
    treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
  });
  const rule = new events.CfnRule(scope, 'StopRule', {
    description: 'Aborts the migration',
    eventPattern: {
      source: ['aws.cloudwatch'],
      'detail-type': ['CloudWatch Alarm State Change'],
      resources: [alarm.alarmArn],
      detail: { state: { value: ['ALARM'] } },
    },
    targets: [{ id: 'proxy', arn: proxy.function.functionArn }],
  });
  new lambda.CfnPermission(scope, 'StopPermission', {
    action: 'lambda:InvokeFunction',
    functionName: proxy.function.functionArn,
    principal: 'events.amazonaws.com',
    sourceArn: rule.attrArn,
  });
}

/** Every five minutes, with the function's own log as its evidence. */
export function addSchedule(scope: Construct, proxy: Proxy) {
  proxy.role.addToPolicy(evidence(proxy));
  const role = new iam.Role(scope, 'AdvanceRole', {
    // The group of the schedule, on behalf of this account alone.
    assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
      conditions: {
        StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID, 'aws:SourceArn': arn('scheduler', 'schedule-group/default') },
      },
    }),
  });
  role.addToPolicy(new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [proxy.function.functionArn] }));
  const schedule = new scheduler.CfnSchedule(scope, 'Advance', {
    description: 'The next step of the migration',
    scheduleExpression: 'rate(5 minutes)',
    flexibleTimeWindow: { mode: 'OFF' },
    target: {
      arn: proxy.function.functionArn,
      roleArn: role.roleArn,
      input: JSON.stringify({ crossfade: 'advance' }),
      // The next one comes in five minutes.
      retryPolicy: { maximumRetryAttempts: 0 },
    },
  });
  schedule.node.addDependency(role);
}

/** Policies to attach to roles. Whoever has the last one can take all users back, and nothing else. */
export function addPeople(
  scope: Construct,
  proxy: Proxy,
  operate: iam.PolicyStatement[],
  abort: iam.PolicyStatement[],
): iam.ManagedPolicy[] {
  return [
    new iam.ManagedPolicy(scope, 'LiveOperator', {
      description: 'The commands of a live migration, with the log as their evidence',
      statements: operate,
    }),
    new iam.ManagedPolicy(scope, 'LiveEvidenceReader', {
      description: 'The log of the function, as the evidence of `crossfade promote --log-group`',
      statements: [evidence(proxy)],
    }),
    new iam.ManagedPolicy(scope, 'LiveAborter', { description: 'crossfade abort', statements: abort }),
  ];
}

function evidence(proxy: Proxy): iam.PolicyStatement {
  return new iam.PolicyStatement({ actions: ['logs:FilterLogEvents'], resources: [proxy.logGroup.logGroupArn] });
}
