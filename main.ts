import { App } from "cdktf";
import { officialArchives } from "./constructs/archives";
import { FlywayStack } from "./constructs/flyway-stack";
import { Names } from "./constructs/names";

async function main(): Promise<void> {
  const archives = await officialArchives(process.env.MAVEN_REPOSITORY);
  // cdktn refuses write-only arguments unless told of a Terraform that has them; CDKTF does not ask.
  const app = new App({ context: { targetVersions: { terraform: ">=1.11.0" } } });
  const stage = process.env.STAGE || undefined;
  new FlywayStack(app, new Names(stage).of("flyway"), { archives, stage });
  app.synth();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
