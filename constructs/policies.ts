import {
  DataAwsIamPolicyDocument,
  type DataAwsIamPolicyDocumentConfig,
} from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { DataAwsIamRole } from "@cdktf/provider-aws/lib/data-aws-iam-role";
import { DataAwsIamRoles } from "@cdktf/provider-aws/lib/data-aws-iam-roles";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import type { Construct } from "constructs";
import type { Names } from "../deployment/names";
import type { Data } from "./data";
import { addressOf } from "./stack";
import type { Variables } from "./variables";

/** Of a role: the region of the deployment that it belongs to. */
const REGION_TAG = "flyway-region";

export interface ServiceRoleProps {
  /** Its name in AWS. */
  readonly name: string;
  /** Who assumes it: `ec2.amazonaws.com`. */
  readonly service: string;
  readonly variables: Variables;
  readonly data: Data;
}

/**
 * A role that a service assumes. IAM's names are the account's, not a region's: a second deployment of one name, in
 * another region, is refused at plan, where it would fail half way through its apply. The tag tells whose the role is; an
 * adopted one gets it at the first apply.
 */
export function serviceRole(
  scope: Construct,
  id: string,
  { name, service, variables, data }: ServiceRoleProps,
): IamRole {
  const label = id.slice(id.lastIndexOf(".") + 1);
  new DataAwsIamRoles(scope, `data.aws_iam_roles.${label}`, { nameRegex: `^${name}$` });
  new DataAwsIamRole(scope, `data.aws_iam_role.${label}`, { name: "${each.key}" }).addOverride(
    "for_each",
    `\${data.aws_iam_roles.${label}.names}`,
  );
  const region = `${addressOf(data.region)}.id`;
  const foreignRegions = `[for r in values(data.aws_iam_role.${label}) : r.tags["${REGION_TAG}"] if lookup(r.tags, "${REGION_TAG}", ${region}) != ${region}]`;
  return new IamRole(scope, id, {
    name,
    path: variables.iamPath.stringValue,
    permissionsBoundary: variables.permissionsBoundary.stringValue,
    assumeRolePolicy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }],
    }),
    tags: { [REGION_TAG]: data.region.id },
    lifecycle: {
      ignoreChanges: ["description", "path"], // an adopted role keeps its own; another path replaces it
      precondition: [
        {
          condition: `\${length(${foreignRegions}) == 0}`,
          errorMessage:
            `The role ${name} is there already, of a deployment in \${join(", ", ${foreignRegions})}, and an account has one role of a ` +
            "name. Give this deployment a name of its own: set STAGE, such as STAGE=dev, when it is synthesized.",
        },
      ],
    },
  });
}

export interface Grant {
  readonly document: DataAwsIamPolicyDocument;
  /** Until it is there, the role may not. */
  readonly attachment: IamRolePolicyAttachment;
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
): Grant {
  const document = new DataAwsIamPolicyDocument(scope, `data.aws_iam_policy_document.${name}`, { statement });
  const policy = new IamPolicy(scope, `aws_iam_policy.${name}`, {
    name: names.of(name.replaceAll("_", "-")),
    policy: document.json,
    path: role.path,
    lifecycle: { ignoreChanges: ["description", "path"] }, // a change replaces it
  });
  const attachment = new IamRolePolicyAttachment(scope, `aws_iam_role_policy_attachment.${name}`, {
    role: role.name,
    policyArn: policy.arn,
  });
  return { document, attachment };
}

/** Attaches one of AWS's own policies: `service-role/AWSLambdaBasicExecutionRole`. */
export function attachManaged(
  scope: Construct,
  { partition }: Data,
  role: IamRole,
  name: string,
  policy: string,
): IamRolePolicyAttachment {
  return new IamRolePolicyAttachment(scope, `aws_iam_role_policy_attachment.${name}`, {
    role: role.name,
    policyArn: `arn:${partition.partition}:iam::aws:policy/${policy}`,
  });
}
