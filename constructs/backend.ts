import { LocalBackend, TerraformBackend, type TerraformRemoteState } from "cdktf";
import type { Construct } from "constructs";

/** Where Terraform keeps the state. */
export type Backend =
  | {
      /** A file. */
      readonly type: "local";
      /**
       * Its path, relative to the folder that Terraform runs in, and outside of it: that folder is an output.
       * @default "../../../terraform.<stack id>.tfstate", which is beside the project for `cdktf deploy`
       */
      readonly path?: string;
    }
  /** A bucket; which one is for `terraform init -backend-config=…` to say. */
  | { readonly type: "s3" }
  /** Whatever the pipeline puts beside the JSON: no `backend` and no `cloud` block is written. */
  | { readonly type: "none" };

/**
 * Reads a backend's type.
 *
 * @param type `local`, `s3` or `none`; undefined is `local`
 * @param path where a local backend's file is
 * @throws Error for any other type
 */
export function parseBackend(type = "local", path?: string): Backend {
  if (type === "local") return { type, path };
  if (type === "s3" || type === "none") return { type };
  throw new Error(`BACKEND is ${JSON.stringify(type)}: use "local" (the default), "s3" or "none".`);
}

/** Gives a stack its backend. */
export function addBackend(stack: Construct, backend: Backend): void {
  if (backend.type === "s3") new PartialBackend(stack, "backend", "s3");
  else if (backend.type === "none") new NoBackend(stack, "backend", "none");
  // CDKTF's default, but relative: that one is a path of this machine.
  else new LocalBackend(stack, { path: backend.path ?? `../../../terraform.${stack.node.id}.tfstate` });
}

/** An empty block. CDKTF's S3Backend insists on a bucket and a key. */
class PartialBackend extends TerraformBackend {
  override getRemoteStateDataSource(): TerraformRemoteState {
    throw new Error("Another stack cannot read this state: where it is, is known only to terraform init.");
  }
}

/** No block at all. A stack without a backend would get CDKTF's default. */
class NoBackend extends PartialBackend {
  override toTerraform(): object {
    return {};
  }

  override toHclTerraform(): object {
    return {};
  }
}
