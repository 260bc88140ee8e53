import {
  TerraformDataSource,
  TerraformElement,
  TerraformLocal,
  TerraformOutput,
  TerraformResource,
  TerraformStack,
  TerraformVariable,
} from "cdktf";
import type { Node } from "constructs";

/**
 * A stack whose element ids may be Terraform addresses: `aws_s3_bucket.this`, `data.aws_vpc.default`,
 * `var.flyway_version`, `output.host_id`. The name behind the type becomes the element's name as it stands,
 * without CDKTF's hash, in whichever construct it is created. An id without a dot is named as CDKTF would, so
 * that a team's own stack can have this one as its base.
 */
export class AddressStack extends TerraformStack {
  private readonly elements = new Map<string, Node>();

  /**
   * @throws if an id has a dot and is not the element's address, or if another element has the address already
   * (CDKTF would merge the two without a word)
   */
  protected override allocateLogicalId(tfElement: TerraformElement | Node): string {
    const element = TerraformElement.isTerraformElement(tfElement) ? tfElement : undefined;
    const node = element?.node ?? (tfElement as Node);
    const type = element && addressType(element);
    const dot = node.id.lastIndexOf(".");
    const name = dot < 0 ? super.allocateLogicalId(tfElement) : node.id.slice(dot + 1);
    const address = dot >= 0 ? node.id : type === undefined ? name : `${type}.${name}`;
    if (
      dot >= 0 &&
      type !== undefined &&
      (address !== `${type}.${name}` || !/^[A-Za-z_][\w-]*$/.test(name))
    ) {
      throw new Error(`The id "${node.id}" of ${node.path} is no Terraform address: use "${type}.<name>"`);
    }
    const first = this.elements.get(address);
    if (first !== undefined && first.path !== node.path) {
      throw new Error(
        `The address "${address}" is taken twice, by ${first.path} and by ${node.path}: rename one`,
      );
    }
    this.elements.set(address, node);
    return name;
  }
}

/**
 * The address of an element whose id it is, for an expression that is written as text: CDKTF's tokens come out wrong
 * beside nested templates, and an address that is written by hand hides what a construct needs of another.
 */
export function addressOf(element: TerraformElement): string {
  return element.node.id;
}

/** What an element's address begins with; undefined for what has no address (assets). */
function addressType(element: TerraformElement): string | undefined {
  if (TerraformResource.isTerraformResource(element)) return element.terraformResourceType;
  if (TerraformDataSource.isTerraformDataSource(element)) return `data.${element.terraformResourceType}`;
  if (element instanceof TerraformVariable) return "var";
  if (element instanceof TerraformLocal) return "local";
  if (element instanceof TerraformOutput) return "output";
  return undefined;
}
