import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mappingName } from "../../deployment/mapping";
import type { Message } from "../../lambda/notification";
import type { Chain } from "../../local/chain";
import { migrate, startTestChain, upload } from "../support/chain";

describe("what people hear of", () => {
  let chain: Chain;
  let complaints: string[];
  beforeAll(async () => {
    complaints = [];
    chain = await startTestChain({ complain: (output) => void complaints.push(output) });
  });
  afterAll(() => chain.stop());

  /** The one message that has come since there were so many. */
  async function messageSince(count: number): Promise<Message | undefined> {
    for (let i = 0; i < 300 && chain.messages.length === count; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(chain.messages).toHaveLength(count + 1);
    return chain.messages[count];
  }

  it("is a migration that fails: database, file, Flyway's reason and where the log is, in one message", async () => {
    const before = chain.messages.length;
    await migrate(chain, "Users", "V1__good.sql", "CREATE TABLE A (id int);");
    const judged = await migrate(chain, "Users", "V2__bad.sql", "CREATE TABEL B (id int);");
    expect(judged.verdict).toBe("failed");
    const message = await messageSince(before);
    expect(message?.subject).toBe("Flyway: Users: Failed");
    expect(message?.text).toMatch(/^Database: {2}Users$/m);
    expect(message?.text).toMatch(new RegExp(`^Bucket: {4}${chain.buckets.Users}$`, "m"));
    expect(message?.text).toMatch(/^Files: {5}V2__bad\.sql$/m);
    expect(message?.text).toContain("CREATE TABEL B (id int)");
    expect(message?.text).toContain(`the streams that begin with ${judged.commandId}/i-00000000000000000/`);
  });

  it("is no migration that is applied: the failure's message is the only one", async () => {
    const before = chain.messages.length;
    await migrate(chain, "Products", "V1__good.sql", "CREATE TABLE A (id int);");
    const judged = await migrate(chain, "Products", "V2__bad.sql", "CREATE TABEL B (id int);");
    expect((await messageSince(before))?.text).toContain(judged.commandId);
  });

  it("is an upload that the function cannot handle, by Lambda's own record", async () => {
    const before = chain.messages.length;
    chain.parameters.delete(mappingName("/flyway", chain.buckets.Products as string));
    await upload(chain, "Products", "V3__stray.sql", "SELECT 1;");
    const record = await messageSince(before);
    const { requestPayload, responsePayload } = JSON.parse(record?.text as string);
    expect(requestPayload.Records[0].s3.object.key).toBe("V3__stray.sql");
    expect(responsePayload.errorMessage).toContain(`Bucket ${chain.buckets.Products} has no mapping`);
    expect(complaints.at(-1)).toContain("The function gave up");
  });
});
