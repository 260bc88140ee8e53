import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { TerraformStack, TerraformVariable } from "cdktf";
import { Construct } from "constructs";

/** Releases of the AWS provider that take this stack's JSON. The bindings alone would pin one. */
const AWS_PROVIDER = ">= 5.100, < 7";

/** `data.archive_file` is written with what 1.3 and 2.x share. */
const ARCHIVE_PROVIDER = ">= 1.3, < 3";

/** https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html, less what IAM refuses */
const TAG_KEY = "^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]{1,128}$";
const TAG_VALUE = "^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]{0,256}$";
const VALID_TAG = `can(regex("${TAG_KEY}", k)) && can(regex("${TAG_VALUE}", v)) && !startswith(lower(k), "aws:")`;

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
const ROLE_ARN = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$";
const EXTERNAL_ID = "^[A-Za-z0-9_+=,.@:/-]{2,1000}$"; // STS takes 1224, Terraform counts to 1000

const SESSION_NAME = "^[A-Za-z0-9_+=,.@-]{2,64}$";

/** The providers, and the variables that say where and as whom they work; each unset leaves the provider's default. */
export class Providers extends Construct {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    const stack = TerraformStack.of(this);
    stack.addOverride("terraform.required_providers.aws.version", AWS_PROVIDER);
    stack.addOverride("terraform.required_providers.archive.version", ARCHIVE_PROVIDER);

    const region = new TerraformVariable(this, "var.aws_region", {
      type: "string",
      description: "The AWS region. Unset, the provider takes AWS_REGION or the profile's.",
      validation: [
        {
          condition: '${var.aws_region == null || can(regex("^[a-z]+(-[a-z]+)+-[0-9]+$", var.aws_region))}',
          errorMessage:
            'aws_region ${try(format("%q", var.aws_region), "")} is no region: use one such as eu-central-1, or leave it unset for AWS_REGION.',
        },
      ],
    });
    region.addOverride("default", null); // as a prop, CDKTF fails on it
    const tags = new TerraformVariable(this, "var.default_tags", {
      type: "map(string)",
      default: {},
      nullable: false,
      description: "Tags for everything that takes tags.",
      validation: [
        {
          condition: `\${alltrue([for k, v in var.default_tags : ${VALID_TAG}])}`,
          errorMessage: `default_tags \${join(", ", [for k, v in var.default_tags : format("%q = %q", k, v) if !(${VALID_TAG})])}: a key is 1 to 128 letters, digits, spaces and _.:/=+-@, not beginning with aws:, a value up to 256 of them.`,
        },
      ],
    });
    const role = new TerraformVariable(this, "var.assume_role", {
      type: "object({ role_arn = string, external_id = optional(string), session_name = optional(string) })",
      description: "The role to work as, as in the provider's assume_role. Unset, the caller's own.",
      validation: [
        {
          condition: `\${var.assume_role == null || can(regex("${ROLE_ARN}", var.assume_role.role_arn))}`,
          errorMessage: `assume_role's role_arn \${try(format("%q", var.assume_role.role_arn), "")} is no role's ARN: use one such as arn:aws:iam::123456789012:role/deploy.`,
        },
        {
          condition: `\${try(var.assume_role.external_id, null) == null || can(regex("${EXTERNAL_ID}", var.assume_role.external_id))}`,
          errorMessage: `assume_role's external_id \${try(format("%q", var.assume_role.external_id), "")} is not possible: use 2 to 1000 letters, digits and _+=,.@:/-, or leave it out.`,
        },
        {
          condition: `\${try(var.assume_role.session_name, null) == null || can(regex("${SESSION_NAME}", var.assume_role.session_name))}`,
          errorMessage: `assume_role's session_name \${try(format("%q", var.assume_role.session_name), "")} is not possible: use 2 to 64 letters, digits and _+=,.@-, or leave it out.`,
        },
      ],
    });
    role.addOverride("default", null);

    const aws = new AwsProvider(this, "provider.aws", {
      region: region.stringValue,
      defaultTags: [{ tags: tags.value }],
    });
    // As a prop it would be there, empty, where no role is to be assumed.
    aws.addOverride("dynamic.assume_role", {
      for_each: "${var.assume_role[*]}",
      content: {
        role_arn: "${assume_role.value.role_arn}",
        external_id: "${assume_role.value.external_id}",
        session_name: "${assume_role.value.session_name}",
      },
    });
    new ArchiveProvider(this, "provider.archive");
  }
}
