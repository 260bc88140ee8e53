import { isWildcardOnlyAction, runSimulation } from "@cloud-copilot/iam-simulate";
import { REGION, type State, type Values, valuesOf } from "./terraform";

/** A request to AWS. */
export interface Request {
  /** Name of a role of the deployment, as in its Terraform address, a service's principal, or `ADMINISTRATOR`. */
  readonly by: string;
  readonly action: string;
  /** ARN, or `*` where the action has no type of resource. */
  readonly on: string;
  readonly context?: Readonly<Record<string, string>>;
}

/** A role of the account that may do everything, but what the policies of things deny. */
export const ADMINISTRATOR = "an administrator";

type Policy = { readonly Statement: readonly Values[] };

/** AWS's own policies: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html */
const MANAGED: Readonly<Record<string, Policy>> = {
  "service-role/AWSLambdaBasicExecutionRole": policyOf([
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
  ]),
  AmazonSSMManagedInstanceCore: policyOf(
    [
      ...["DescribeAssociation", "GetDeployablePatchSnapshotForInstance", "GetDocument", "DescribeDocument"],
      ...["GetManifest", "GetParameter", "GetParameters", "ListAssociations", "ListInstanceAssociations"],
      ...["PutInventory", "PutComplianceItems", "PutConfigurePackageResult", "UpdateAssociationStatus"],
      ...["UpdateInstanceAssociationStatus", "UpdateInstanceInformation"],
    ]
      .map((action) => `ssm:${action}`)
      .concat(
        ["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"].map(
          (action) => `ssmmessages:${action}`,
        ),
        ["AcknowledgeMessage", "DeleteMessage", "FailMessage", "GetEndpoint", "GetMessages", "SendReply"].map(
          (action) => `ec2messages:${action}`,
        ),
      ),
  ),
};

function policyOf(actions: readonly string[]): Policy {
  return { Statement: [{ Effect: "Allow", Action: actions, Resource: "*" }] };
}

/** The policies of a deployment that was applied, asked as AWS would be. */
export class Permissions {
  readonly account: string;

  constructor(private readonly state: State) {
    this.account = this.one("data.aws_caller_identity.this").account_id;
  }

  /** The attributes of an object. */
  one(address: string): Values {
    return valuesOf(this.state, address);
  }

  /** The objects of a resource. */
  all(type: string): readonly Values[] {
    return this.state.resources
      .filter(({ address, mode }) => mode === "managed" && address.startsWith(`${type}.`))
      .map(({ values }) => values);
  }

  /** What the policies that are attached to a role, or are on a thing, say. @throws if AWS would not take the request */
  async allows({ by, action, on, context = {} }: Request): Promise<boolean> {
    const isService = by.endsWith(".amazonaws.com");
    const policies = isService ? [] : this.identityPolicies(by);
    const role = isService || by === ADMINISTRATOR ? { name: "administrator" } : this.role(by);
    // Of a session too, it is the role's: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
    const principal = { "aws:PrincipalArn": role.arn ?? `arn:aws:iam::${this.account}:role/${role.name}` };
    const result = await runSimulation(
      {
        request: {
          principal: isService ? by : `arn:aws:sts::${this.account}:assumed-role/${role.name}/session`,
          action,
          resource: { resource: on, accountId: context["aws:ResourceAccount"] ?? this.account },
          contextVariables: { "aws:RequestedRegion": REGION, ...(isService ? {} : principal), ...context },
        },
        identityPolicies: policies.map((policy, i) => ({ name: String(i), policy: versioned(policy) })),
        serviceControlPolicies: [],
        resourceControlPolicies: [],
        resourcePolicy: versioned(this.resourcePolicy(action, on)),
      },
      {},
    );
    if (result.resultType === "error")
      throw new Error(`${action} on ${on}: ${JSON.stringify(result.errors)}`);
    return result.overallResult === "Allowed";
  }

  /** What of the roles' policies AWS does not take as it is meant: for an action without a type of resource, others than `*`. */
  async unheeded(): Promise<string[]> {
    const found: string[] = [];
    for (const policy of this.all("aws_iam_policy")) {
      for (const { Action, Resource } of (JSON.parse(policy.policy) as Policy).Statement) {
        for (const action of [Action].flat()) {
          const [service, name] = action.split(":");
          if (Resource !== undefined && Resource !== "*" && (await isWildcardOnlyAction(service, name))) {
            found.push(`${policy.name}: ${action} on ${Resource}`);
          }
        }
      }
    }
    return found;
  }

  private role(name: string): Values {
    return this.one(`aws_iam_role.${name}`);
  }

  private identityPolicies(role: string): Policy[] {
    if (role === ADMINISTRATOR) return [policyOf(["*"])];
    const { name } = this.role(role);
    return this.all("aws_iam_role_policy_attachment")
      .filter((attachment) => attachment.role === name)
      .map(({ policy_arn: arn }) => {
        const customerPolicy = this.all("aws_iam_policy").find((policy) => policy.arn === arn);
        const managed = MANAGED[arn.replace("arn:aws:iam::aws:policy/", "")];
        if (!customerPolicy && !managed) throw new Error(`What ${arn} says is not known here`);
        return customerPolicy ? JSON.parse(customerPolicy.policy) : managed;
      });
  }

  private resourcePolicy(action: string, on: string): Policy | undefined {
    switch (action.split(":")[0]) {
      case "s3": {
        const bucket = on.replace("arn:aws:s3:::", "").split("/")[0];
        const policy = this.all("aws_s3_bucket_policy").find(
          (bucketPolicy) => bucketPolicy.bucket === bucket,
        );
        return policy && JSON.parse(policy.policy);
      }
      case "sns":
        return (
          JSON.parse(this.all("aws_sns_topic_policy").find(({ arn }) => arn === on)?.policy ?? "null") ??
          undefined
        );
      case "sts":
        return JSON.parse(this.all("aws_iam_role").find(({ arn }) => arn === on)?.assume_role_policy);
      case "lambda":
        return {
          Statement: this.all("aws_lambda_permission").map((permission) => invocation(on, permission)),
        };
    }
    return undefined;
  }
}

/** Those of the requests that are allowed, or are not. */
export async function outcome(
  of: Permissions,
  requests: readonly Request[],
  allowed: boolean,
): Promise<Request[]> {
  const answers = await Promise.all(requests.map((request) => of.allows(request)));
  return requests.filter((_, i) => answers[i] === allowed);
}

/** The statement that Lambda adds to the function's policy for a permission. */
export function invocation(functionArn: string, permission: Values): Values {
  const { source_account: account, source_arn: arn } = permission;
  const Condition = {
    ...(account && { StringEquals: { "aws:SourceAccount": account } }),
    ...(arn && { ArnLike: { "aws:SourceArn": arn } }),
  };
  return {
    Sid: permission.statement_id,
    Effect: "Allow",
    Principal: { Service: permission.principal },
    Action: permission.action,
    Resource: functionArn,
    Condition,
  };
}

function versioned(policy: Policy | undefined): object | undefined {
  return policy && { Version: "2012-10-17", ...policy };
}
