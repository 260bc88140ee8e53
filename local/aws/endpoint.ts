import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** AWS's answer to a request that is not to succeed. */
export interface Fault {
  readonly status: number;
  /** The error of a service that speaks JSON: `ThrottlingException`. */
  readonly type?: string;
}

/** Decides the fate of a request to AWS: an answer is given at once, a promise makes AWS slow, undefined lets it pass. */
export type Faults = (request: IncomingMessage) => Fault | undefined | Promise<Fault | undefined>;

/** A server on loopback. */
export interface Endpoint {
  readonly url: string;
  /** Ends it, with whatever request is under way. */
  close(): Promise<void>;
}

/** Starts one server for all that stands in for AWS. */
export async function serveAws(
  handle: (request: IncomingMessage, response: ServerResponse) => unknown,
  faults: Faults,
): Promise<Endpoint> {
  const server = createServer(async (request, response) => {
    const fault = await faults(request);
    if (fault) return void response.writeHead(fault.status).end(JSON.stringify({ __type: fault.type }));
    handle(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
