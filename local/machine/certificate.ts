import { generate } from "selfsigned";

/** A server's certificate, its key, and the authority that it is verified with; all PEM. */
export interface Certificate {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** How long they are valid, in milliseconds: longer than a chain is up. */
const VALIDITY = 365 * 86_400_000;

/** The name that a server's certificate is for, beside its address. */
export const NAME = "localhost";

/**
 * Makes an authority, and a server's certificate of it, as RDS has them: clients verify the chain and the name.
 *
 * @param address the IP address that the server listens on
 */
export async function certificateFor(address: string): Promise<Certificate> {
  const options = {
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: new Date(Date.now() - 86_400_000), // clocks may differ
    notAfterDate: new Date(Date.now() + VALIDITY),
  } as const;
  const authority = await generate([{ name: "commonName", value: "flyway-on-aws, local" }], {
    ...options,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: "commonName", value: address }], {
    ...options,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: "basicConstraints", cA: false },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: NAME },
          { type: 7, ip: address },
        ],
      },
    ],
  });
  return { ca: authority.cert, certificate: server.cert, key: server.private };
}
