// A dashboard of the log, and alarms, without custom metrics. `monitoring/` has the dashboard and the queries of the alarms.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Aws, Fn } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

const FOLDER = join(__dirname, '..', 'monitoring');

/** Alarms with queries: five minutes of the log that are at least two minutes old, and two of three results. */
const QUERIES = [
  { id: 'FailedResponsesAlarm', file: 'failed-responses', threshold: 5, text: 'More than 5 % of the responses failed' },
  { id: 'BackEndFailingAlarm', file: 'back-end-failing', threshold: 50, text: 'A back end failed more than half of its requests' },
  { id: 'LostCopiesAlarm', file: 'lost-copies', threshold: 20, text: 'More than 20 % of the shadow requests were lost' },
];

/** Alarms with metrics that Lambda has anyway, by the number of minutes that must be bad. */
const METRICS = [
  // Their clients got a 502 from the load balancer.
  { id: 'ThrottlesAlarm', name: 'throttles', metric: 'Throttles', minutes: 2, text: 'Lambda rejected invocations because too many were running' },
  // Crossfade responds to failures, so an error of the function is a crash or a timeout.
  { id: 'FunctionErrorsAlarm', name: 'function-errors', metric: 'Errors', minutes: 1, text: 'Invocations of the function failed' },
];

export function addMonitoring(scope: Construct, handler: lambda.Function, logGroup: logs.LogGroup, name: string, actions: string[]) {
  new cloudwatch.CfnDashboard(scope, 'Dashboard', {
    dashboardName: name,
    dashboardBody: Fn.sub(readFileSync(join(FOLDER, 'dashboard.json'), 'utf8'), {
      LogGroup: logGroup.logGroupName,
      Region: Aws.REGION,
      FunctionName: handler.functionName,
    }),
  });
  // With it, CloudWatch Logs runs the queries of the alarms.
  const role = new iam.Role(scope, 'AlarmQueryRole', { assumedBy: new iam.ServicePrincipal('logs.amazonaws.com') });
  const policy = new iam.Policy(scope, 'AlarmQueryPolicy', {
    roles: [role],
    statements: [
      new iam.PolicyStatement({ actions: ['logs:StartQuery', 'logs:GetQueryResults'], resources: [logGroup.logGroupArn] }),
      // IAM has no resources for these two.
      new iam.PolicyStatement({ actions: ['logs:StopQuery', 'logs:DescribeLogGroups'], resources: ['*'] }),
    ],
  });
  for (const { id, file, threshold, text } of QUERIES) {
    const { query, aggregation } = parts(readFileSync(join(FOLDER, 'alarms', `${file}.query`), 'utf8'));
    const alarm = new cloudwatch.CfnLogAlarm(scope, id, {
      alarmName: `${name}-${file}`,
      alarmDescription: text,
      scheduledQueryConfiguration: {
        queryString: query,
        aggregationExpression: aggregation,
        logGroupIdentifiers: [logGroup.logGroupName],
        scheduledQueryRoleArn: role.roleArn,
        scheduleConfiguration: { scheduleExpression: 'rate(5 minutes)', startTimeOffset: 420, endTimeOffset: 120 },
      },
      comparisonOperator: 'GreaterThanThreshold',
      threshold,
      queryResultsToEvaluate: 3,
      queryResultsToAlarm: 2,
      treatMissingData: 'notBreaching',
      alarmActions: actions,
      okActions: actions,
    });
    alarm.node.addDependency(policy);
  }
  for (const { id, name: suffix, metric, minutes, text } of METRICS) {
    new cloudwatch.CfnAlarm(scope, id, {
      alarmName: `${name}-${suffix}`,
      alarmDescription: text,
      namespace: 'AWS/Lambda',
      metricName: metric,
      dimensions: [{ name: 'FunctionName', value: handler.functionName }],
      statistic: 'Sum',
      period: 60,
      comparisonOperator: 'GreaterThanThreshold',
      threshold: 0,
      evaluationPeriods: 5,
      datapointsToAlarm: minutes,
      treatMissingData: 'notBreaching',
      alarmActions: actions,
      okActions: actions,
    });
  }
}

/** A file is a comment, a query, and the aggregation that an alarm has apart. */
function parts(file: string): { query: string; aggregation: string } {
  const [query, aggregation] = file.replace(/^#.*\n/gm, '').trim().split('\n| stats ');
  return { query, aggregation };
}
