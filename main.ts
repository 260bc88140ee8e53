import { App } from "cdktf";
import { officialArchives } from "./constructs/archives";
import { FlywayStack } from "./constructs/flyway-stack";

async function main(): Promise<void> {
  const archives = await officialArchives(process.env.MAVEN_REPOSITORY);
  const app = new App();
  new FlywayStack(app, "flyway", { archives });
  app.synth();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
