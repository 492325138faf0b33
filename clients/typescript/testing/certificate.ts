// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 does not load without it
import "reflect-metadata";
import { createHash, KeyObject } from "node:crypto";
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";

/** A self-signed P-256 certificate, as a cluster makes one for itself. */
export interface TestCertificate {
  readonly certPem: string;
  readonly keyPem: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 24 * 60 * 60 * 1_000;

export async function createTestCertificate(
  serverName: string,
  validity: { readonly notBefore?: Date; readonly notAfter?: Date } = {},
): Promise<TestCertificate> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: `CN=${serverName}`,
    notBefore: validity.notBefore ?? new Date(Date.now() - dayMs),
    notAfter: validity.notAfter ?? new Date(Date.now() + dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new SubjectAlternativeNameExtension([{ type: "dns", value: serverName }]),
    ],
  });
  return {
    certPem: certificate.toString("pem"),
    keyPem: KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString(),
    sha256: createHash("sha256").update(new Uint8Array(certificate.rawData)).digest("hex"),
  };
}
