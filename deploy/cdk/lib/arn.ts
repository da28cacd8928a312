// The beginning of ARNs.

import { Aws } from 'aws-cdk-lib';

/** An ARN in this account and region. */
export function arn(service: string, rest: string): string {
  return `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${rest}`;
}
