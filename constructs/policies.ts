import {
  DataAwsIamPolicyDocument,
  type DataAwsIamPolicyDocumentConfig,
} from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import type { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import type { Construct } from "constructs";
import type { Names } from "./names";

/** The trust policy of a role that a service assumes: `ec2.amazonaws.com`. */
export function trust(service: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }],
  });
}

/**
 * A policy document, a policy and its attachment to a role, all with one name: `s3_access` makes
 * `data.aws_iam_policy_document.s3_access`, `aws_iam_policy.s3_access` (in AWS `s3-access`) and
 * `aws_iam_role_policy_attachment.s3_access`.
 */
export function grant(
  scope: Construct,
  names: Names,
  role: IamRole,
  name: string,
  statement: DataAwsIamPolicyDocumentConfig["statement"],
): DataAwsIamPolicyDocument {
  const document = new DataAwsIamPolicyDocument(scope, `data.aws_iam_policy_document.${name}`, { statement });
  const policy = new IamPolicy(scope, `aws_iam_policy.${name}`, {
    name: names.of(name.replaceAll("_", "-")),
    policy: document.json,
    lifecycle: { ignoreChanges: ["description"] }, // a change replaces it
  });
  new IamRolePolicyAttachment(scope, `aws_iam_role_policy_attachment.${name}`, {
    role: role.name,
    policyArn: policy.arn,
  });
  return document;
}

/** Attaches one of AWS's own policies: `service-role/AWSLambdaBasicExecutionRole`. */
export function attachManaged(scope: Construct, role: IamRole, name: string, policy: string): void {
  new IamRolePolicyAttachment(scope, `aws_iam_role_policy_attachment.${name}`, {
    role: role.name,
    policyArn: `arn:aws:iam::aws:policy/${policy}`,
  });
}
