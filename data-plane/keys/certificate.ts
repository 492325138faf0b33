// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 does not load without it
import "reflect-metadata";
import { createHash, KeyObject, randomBytes, X509Certificate } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { KeyError } from "./key-error.ts";

/** What a cluster shows to players, who pin it. */
export interface Certificate {
  /** Private key and certificate for node:tls. */
  readonly keyPem: string;
  readonly certificatePem: string;
  /** The name in it, for SNI; it resolves nowhere. */
  readonly serverName: string;
  /** SHA-256 of its DER form, lower-case hex. */
  readonly sha256: string;
  readonly expiresAt: Date;
}

const dayMs = 86_400_000;
/** Players' clocks may be far behind; the pin is what counts. */
const backdatedDays = 365;
const lifetimeDays = 3_650;
/** A certificate that expires sooner is replaced at the next start. */
const renewalDays = 30;

/** The synthetic DNS name of a cluster's certificate: stable for its key, and impossible in DNS (RFC 6761). */
export function certificateName(keyId: string): string {
  const digest = createHash("sha256").update(keyId).digest("hex").slice(0, 20);
  return `${digest}.cluster.sustenet.invalid`;
}

/**
 * The certificate in `<name>.tls.pem` of `dir`; made there if there is none, if it is another cluster key's, or if it is
 * about to expire. Processes that start at once and share a folder without one all show the same. When they replace one at once each shows
 * what it made or found: all are good, because each registers its own.
 *
 * @throws KeyError `CERTIFICATE_UNREADABLE`
 */
export async function ensureCertificate(dir: string, name: string, keyId: string, now: Date): Promise<Certificate> {
  const file = join(dir, `${name}.tls.pem`);
  const serverName = certificateName(keyId);
  const existing = await readCertificate(file, serverName);
  if (existing !== undefined && existing.expiresAt.getTime() - now.getTime() > renewalDays * dayMs) return existing;
  const pem = await createCertificate(serverName, now);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    await writeFile(draft, pem, { flag: "wx", mode: 0o600 });
    const first = existing === undefined ? await placeFirst(draft, file, serverName) : undefined;
    if (first !== undefined) return first;
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
  return parseCertificate(pem);
}

/**
 * Puts a certificate where there is none. The quickest of several is everybody's: otherwise all but the last would have to change theirs
 * as soon as they look again, and register anew for it. Answers which one is there; `undefined` when it has to be replaced.
 */
async function placeFirst(draft: string, file: string, serverName: string): Promise<Certificate | undefined> {
  // Fails where another was quicker, where another key's is in its place, and on file systems without links.
  await link(draft, file).catch(() => undefined);
  return readCertificate(file, serverName);
}

/** A self-signed P-256 certificate for `serverName` and its private key, PEM. */
export async function createCertificate(serverName: string, now: Date): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: `00${randomBytes(15).toString("hex")}`,
    name: `CN=${serverName}`,
    notBefore: new Date(now.getTime() - backdatedDays * dayMs),
    notAfter: new Date(now.getTime() + lifetimeDays * dayMs),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    keys,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: "dns", value: serverName }]),
    ],
  });
  const keyPem = KeyObject.from(keys.privateKey).export({ format: "pem", type: "pkcs8" });
  return `${keyPem.toString()}${certificate.toString("pem")}\n`;
}

/** `undefined` when there is none, or when it is another cluster key's. */
async function readCertificate(file: string, serverName: string): Promise<Certificate | undefined> {
  let pem: string;
  try {
    pem = await readFile(file, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new KeyError("CERTIFICATE_UNREADABLE", `${file} cannot be read.`, { cause });
  }
  try {
    const certificate = parseCertificate(pem);
    return certificate.serverName === serverName ? certificate : undefined;
  } catch (cause) {
    throw new KeyError(
      "CERTIFICATE_UNREADABLE",
      `${file} is not a private key and a certificate in PEM form: remove it, and a new one is made.`,
      { cause },
    );
  }
}

function parseCertificate(pem: string): Certificate {
  const keyPem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/.exec(pem)?.[0];
  const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(pem)?.[0];
  if (keyPem === undefined || certificatePem === undefined) throw new Error("a part is missing");
  const certificate = new X509Certificate(certificatePem);
  const serverName = /^DNS:([\w.-]+)$/.exec(certificate.subjectAltName ?? "")?.[1];
  if (serverName === undefined) throw new Error("it does not have exactly one name");
  return {
    keyPem,
    certificatePem,
    serverName,
    sha256: createHash("sha256").update(certificate.raw).digest("hex"),
    expiresAt: certificate.validToDate,
  };
}
