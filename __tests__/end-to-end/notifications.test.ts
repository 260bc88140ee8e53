import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mappingName } from "../../deployment/mapping";
import type { Message } from "../../lambda/notification";
import type { Chain } from "../../local/chain";
import { migrate, records, startTestChain, table, upload } from "../support/chain";

describe("what people hear of", () => {
  let chain: Chain;
  let complaints: string[];
  beforeAll(async () => {
    complaints = [];
    const databases = ["Users", "Products", "Orders", "Reports"];
    chain = await startTestChain({ databases, complain: (output) => void complaints.push(output) });
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

  it("is a failure that several uploads meet, once, and then the next", async () => {
    const before = chain.messages.length;
    await migrate(chain, "Orders", "V1__good.sql", table("A"));
    const bad = await migrate(
      chain,
      "Orders",
      "V2__bad.sql",
      "CREATE TABLE B (id int);\nCREATE TABEL C (id int);",
    );
    const first = await messageSince(before);
    expect(first?.text).toContain(bad.commandId);
    expect(first?.text).toMatch(/^Applied: {3}nothing$/m);
    const waiting = await migrate(chain, "Orders", "V3__good.sql", table("D"));
    expect(waiting.verdict).toBe("refused");
    const other = await migrate(chain, "Orders", "V2__bad.sql", "CREATE TABEL C (id int);");
    const second = await messageSince(before + 1);
    expect(second?.text).toContain(other.commandId);
    expect(second?.text).toMatch(/^Files: {5}V2__bad\.sql$/m);
    const all = await records(chain, "Orders");
    expect(all.map(({ isRepetition }) => isRepetition)).toEqual([false, false, true, false]);
    for (const { text } of chain.messages) expect(text).not.toContain(waiting.commandId);
    for (const { text } of [first, second] as Message[]) expect(text).not.toMatch(/\/copies\/|\/sql\//);
  });

  it("is a failure that comes back after a success", async () => {
    const before = chain.messages.length;
    const callback = await migrate(chain, "Reports", "afterMigrate.sql", "SELECT COUNT(*) FROM Gate;");
    expect(callback.verdict).toBe("failed");
    expect((await messageSince(before))?.text).toContain(callback.commandId);
    expect((await migrate(chain, "Reports", "V1__gate.sql", table("Gate"))).verdict).toBe("applied");
    const dropped = await migrate(chain, "Reports", "V2__drop.sql", "DROP TABLE Gate;");
    const again = await messageSince(before + 1);
    expect(again?.text).toContain(dropped.commandId);
    expect(again?.text).toMatch(/^Files: {5}afterMigrate\.sql$/m);
    expect(again?.text).toMatch(/^Applied: {3}V2__drop\.sql$/m);
    const all = await records(chain, "Reports");
    expect(all.map(({ exitCode, isRepetition }) => [exitCode, isRepetition])).toEqual([
      [1, false],
      [0, false],
      [1, false],
    ]);
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
