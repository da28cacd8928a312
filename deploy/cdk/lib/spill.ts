// A bucket for responses that the load balancer cannot carry. Clients get links to its objects that expire; everything is deleted
// after a day.

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

export function addSpill(scope: Construct, handler: lambda.Function, role: iam.Role) {
  // Encrypted with keys of S3 (SSE-S3). With a key of KMS, the function also needs `kms:GenerateDataKey` and `kms:Decrypt` for it.
  const bucket = new s3.Bucket(scope, 'SpillBucket', {
    encryption: s3.BucketEncryption.S3_MANAGED,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    lifecycleRules: [
      // The shortest time that S3 has. A link has ended long before.
      { id: 'responses', expiration: Duration.days(1), abortIncompleteMultipartUploadAfter: Duration.days(1) },
    ],
    // For scripts of the site that follow the redirect. Whoever has a link may read, wherever their page is from.
    cors: [{ allowedOrigins: ['*'], allowedMethods: [s3.HttpMethods.GET], allowedHeaders: ['*'], maxAge: 3600 }],
    // A bucket that is not empty would keep the stack from being removed. Delete it a day later.
    removalPolicy: RemovalPolicy.RETAIN,
  });
  bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);
  // Reading is what a link allows: S3 checks the role that signed it, when the link is used.
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['s3:PutObject', 's3:AbortMultipartUpload', 's3:GetObject'],
      resources: [bucket.arnForObjects('responses/*')],
    }),
  );
  handler.addEnvironment('SPILL_BUCKET', bucket.bucketName);
}
