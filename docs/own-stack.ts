import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3Backend, TerraformOutput } from "cdktf";
import type { Construct } from "constructs";
import { Flyway } from "../constructs/flyway";
import { AddressStack } from "../constructs/stack";
import type { FlywayArchives } from "../deployment/archives";

/** A team's own stack: its providers, its backend, its resources, and Flyway beside them. */
export class PlatformStack extends AddressStack {
  constructor(scope: Construct, id: string, archives: FlywayArchives) {
    super(scope, id);
    new AwsProvider(this, "aws", { region: "eu-central-1", defaultTags: [{ tags: { team: "platform" } }] });
    new ArchiveProvider(this, "archive");
    new S3Backend(this, { bucket: "platform-states", key: "platform.tfstate", region: "eu-central-1" });

    new S3Bucket(this, "reports", { bucketPrefix: "reports" });

    const flyway = new Flyway(this, "flyway", {
      archives,
      stage: "platform",
      defaults: {
        flywayManagedDatabases: ["Orders", "Stock"],
        flywayDatabaseSettings: {
          Orders: { placeholders: { reports: "s3-reports" }, outOfOrder: true },
          Stock: { flywayConf: "legacy.conf" },
        },
        flywayTargets: {
          "legacy.conf": {
            url: "jdbc:mysql://legacy.example.com:3306",
            secretArn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:legacy-AbCdEf",
            securityGroupId: "sg-0123456789abcdef0",
          },
        },
      },
    });
    // What the constructs made is there to refer to, as objects.
    new TerraformOutput(this, "database", { value: flyway.rds.cluster.endpoint });
  }
}
