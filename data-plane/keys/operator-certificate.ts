import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Certificate } from "./certificate.ts";
import { KeyError } from "./key-error.ts";

const certificateBlocks = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Where an operator's certificate and its private key are, and the name that players should ask for if it is in it. */
export interface OperatorFiles {
  readonly certificate: string;
  readonly key: string;
  readonly preferredName: string;
}

/**
 * The certificate that an operator supplies, with what it chains to: PEM files, as certificate authorities hand them out.
 *
 * @throws KeyError `CERTIFICATE_UNREADABLE`, with what to do
 */
export async function readOperatorCertificate(files: OperatorFiles): Promise<Certificate> {
  const chain = (await read(files.certificate)).match(certificateBlocks) ?? [];
  const [leafPem] = chain;
  const keyPem = await read(files.key);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(leafPem ?? "");
    for (const issuer of chain.slice(1)) void new X509Certificate(issuer);
  } catch (cause) {
    throw unreadable(`${files.certificate} holds no certificate in PEM form that can be read.`, cause);
  }
  let belongs: boolean;
  try {
    belongs = leaf.checkPrivateKey(createPrivateKey(keyPem));
  } catch (cause) {
    throw unreadable(`${files.key} holds no private key in PEM form without a passphrase.`, cause);
  }
  if (!belongs) throw unreadable(`${files.key} is not the key of the first certificate in ${files.certificate}.`);
  const serverName = nameOf(leaf, files.preferredName);
  if (serverName === undefined) {
    throw unreadable(`${files.certificate} names no host: players need a DNS name in it, as advertised_host.`);
  }
  return {
    keyPem,
    certificatePem: `${chain.join("\n")}\n`,
    serverName,
    sha256: createHash("sha256").update(leaf.raw).digest("hex"),
    expiresAt: leaf.validToDate,
  };
}

/** The name that players ask for: the advertised host, also under a wildcard; or else the first whole name in it. */
function nameOf(leaf: X509Certificate, preferred: string): string | undefined {
  if (leaf.checkHost(preferred) !== undefined) return preferred;
  return /(?:^|, )DNS:([\w-]+(?:\.[\w-]+)*)(?:,|$)/.exec(leaf.subjectAltName ?? "")?.[1];
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
    throw unreadable(`${file} cannot be read (${code}).`, cause);
  }
}

function unreadable(message: string, cause?: unknown): KeyError {
  return new KeyError("CERTIFICATE_UNREADABLE", message, { cause });
}
