import { afterAll, afterEach, beforeAll } from "vitest";
import { startTestHost, type TestHost } from "./host";

/**
 * Gives a test file, or one of its `describe`s, a host of its own: up before the first test, with all requests let
 * through after each, down after the last.
 *
 * @returns what is filled in once the tests run
 */
export function useTestHost(flywayVersion?: string): TestHost {
  const host = {} as TestHost;
  beforeAll(async () => {
    Object.assign(host, await startTestHost(flywayVersion));
  });
  afterAll(() => host.stop());
  afterEach(() => host.letThrough());
  return host;
}
