// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 does not load without it
import "reflect-metadata";
import { KeyObject, type webcrypto } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };

/** A certificate authority, as an operator's certificates come from one. */
export interface Authority {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface IssuedCertificate {
  readonly names: readonly string[];
  readonly expiresAt?: Date;
}

export async function createAuthority(): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Test authority",
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000 * 365),
    signingAlgorithm,
    keys,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  return { certificate, keys };
}

/** Writes `cert.pem`, with the chain to `authority`, and `key.pem`, and says where they are. */
export async function issueCertificate(
  dir: string,
  authority: Authority,
  { names, expiresAt }: IssuedCertificate,
): Promise<{ certificate: string; key: string; pem: string }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const issued = await X509CertificateGenerator.create({
    serialNumber: `00${crypto.randomUUID().replaceAll("-", "")}`,
    subject: "CN=Test cluster",
    issuer: authority.certificate.subject,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: expiresAt ?? new Date(Date.now() + 86_400_000 * 90),
    signingAlgorithm,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
    ],
  });
  const certificate = join(dir, "cert.pem");
  const key = join(dir, "key.pem");
  const pem = issued.toString("pem");
  await writeFile(certificate, `${pem}\n${authority.certificate.toString("pem")}\n`);
  await writeFile(key, KeyObject.from(keys.privateKey).export({ format: "pem", type: "pkcs8" }));
  return { certificate, key, pem };
}
