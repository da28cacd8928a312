// The rules of the listener, and the target group that has the function. Resources of CloudFormation as they are: the listener is
// known by its ARN alone, and the permission is for this target group alone.

import { Token } from 'aws-cdk-lib';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';

import { arn } from './arn';

/** All conditions of a rule must hold; values of one condition are alternatives. AWS allows 5 values in a rule. */
export interface Rule {
  /** The listener uses the first rule, by priority, whose conditions all hold. */
  readonly priority: number;
  readonly path?: string[];
  readonly method?: string[];
  readonly host?: string[];
  /** Each is a condition of its own. */
  readonly header?: { readonly name: string; readonly values: string[] }[];
  readonly query?: { readonly key?: string; readonly value: string }[];
  /** Ranges, such as 192.0.2.0/24. */
  readonly ip?: string[];
}

/** What AWS would reject in the middle of a deployment. */
export function checkRules(rules: Rule[]) {
  const priorities = new Set<number>();
  for (const rule of rules) {
    const place = `rule with priority ${rule.priority}`;
    const values = [rule.path, rule.method, rule.host, rule.query, rule.ip].reduce((sum, them) => sum + (them?.length ?? 0), 0);
    const headers = rule.header ?? [];
    const count = headers.reduce((sum, header) => sum + header.values.length, values);
    if (count < 1 || count > 5) {
      throw new Error(`${place}: it has ${count} condition values, and AWS requires 1 to 5. Split it, with a priority for each part`);
    }
    if (headers.some((header) => header.values.length === 0)) {
      throw new Error(`${place}: each entry of \`header\` needs at least one value`);
    }
    if (Token.isUnresolved(rule.priority)) {
      continue;
    }
    if (!Number.isInteger(rule.priority) || rule.priority < 1 || rule.priority > 50000 || priorities.has(rule.priority)) {
      throw new Error(`${place}: each rule needs a priority of its own, a whole number from 1 to 50000`);
    }
    priorities.add(rule.priority);
  }
}

/** Returns the ARN of the target group. */
export function addRules(scope: Construct, handler: lambda.Function, name: string, listenerArn: string, rules: Rule[]): string {
  const permission = new lambda.CfnPermission(scope, 'Permission', {
    action: 'lambda:InvokeFunction',
    functionName: handler.functionArn,
    principal: 'elasticloadbalancing.amazonaws.com',
    sourceArn: arn('elasticloadbalancing', `targetgroup/${name}/*`),
  });
  const group = new elb.CfnTargetGroup(scope, 'TargetGroup', {
    // Named, so that the permission can name it before it exists.
    name,
    targetType: 'lambda',
    targets: [{ id: handler.functionArn }],
    targetGroupAttributes: [{ key: 'lambda.multi_value_headers.enabled', value: 'true' }],
    // The function responds itself, without contacting a back end. Each check is an invocation: one every 30 seconds makes about
    // 90,000 per month, or 0.02 USD.
    healthCheckEnabled: true,
    healthCheckPath: '/',
    healthCheckIntervalSeconds: 30,
    healthCheckTimeoutSeconds: 10,
    healthyThresholdCount: 2,
    unhealthyThresholdCount: 2,
    matcher: { httpCode: '200' },
  });
  // A function can be registered only if the load balancer may already invoke it.
  group.node.addDependency(permission);
  rules.forEach((rule, index) => {
    const id = Token.isUnresolved(rule.priority) ? `Rule-${index}` : `Rule${rule.priority}`;
    new elb.CfnListenerRule(scope, id, {
      listenerArn,
      priority: rule.priority,
      conditions: conditions(rule),
      actions: [{ type: 'forward', targetGroupArn: group.ref }],
    });
  });
  return group.ref;
}

function conditions(rule: Rule): elb.CfnListenerRule.RuleConditionProperty[] {
  const found: elb.CfnListenerRule.RuleConditionProperty[] = [];
  if (rule.path?.length) {
    found.push({ field: 'path-pattern', pathPatternConfig: { values: rule.path } });
  }
  if (rule.method?.length) {
    found.push({ field: 'http-request-method', httpRequestMethodConfig: { values: rule.method } });
  }
  if (rule.host?.length) {
    found.push({ field: 'host-header', hostHeaderConfig: { values: rule.host } });
  }
  for (const header of rule.header ?? []) {
    found.push({ field: 'http-header', httpHeaderConfig: { httpHeaderName: header.name, values: header.values } });
  }
  if (rule.query?.length) {
    const values = rule.query.map(({ key, value }) => ({ key, value }));
    found.push({ field: 'query-string', queryStringConfig: { values } });
  }
  if (rule.ip?.length) {
    found.push({ field: 'source-ip', sourceIpConfig: { values: rule.ip } });
  }
  return found;
}
