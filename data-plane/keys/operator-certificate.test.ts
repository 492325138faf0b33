import { createHash, X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAuthority, issueCertificate } from "../testing/operator-files.ts";
import { readOperatorCertificate } from "./operator-certificate.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sustenet-"));
});
afterEach(() => rm(dir, { recursive: true }));

describe("readOperatorCertificate", () => {
  it("takes certificate, chain and key", async () => {
    const files = await issueCertificate(dir, await createAuthority(), { names: ["eu.example.com"] });
    const read = await readOperatorCertificate({ ...files, preferredName: "203.0.113.7" });
    const leaf = new X509Certificate(files.pem);
    expect(read).toMatchObject({
      serverName: "eu.example.com",
      sha256: createHash("sha256").update(leaf.raw).digest("hex"),
      expiresAt: leaf.validToDate,
    });
    expect(read.certificatePem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(() => createSecureContext({ key: read.keyPem, cert: read.certificatePem })).not.toThrow();
  });

  it.each([
    [["a.example.com", "b.example.com"], "b.example.com", "b.example.com"],
    [["a.example.com", "b.example.com"], "c.example.com", "a.example.com"],
    [["*.example.com"], "eu.example.com", "eu.example.com"],
    [["*.example.com", "example.com"], "203.0.113.7", "example.com"],
  ])("asks players for a name in it: of %j and %s, %s", async (names, preferredName, expected) => {
    const files = await issueCertificate(dir, await createAuthority(), { names });
    expect((await readOperatorCertificate({ ...files, preferredName })).serverName).toBe(expected);
  });

  it("says what is wrong, and repeats nothing of the key", async () => {
    const authority = await createAuthority();
    const files = await issueCertificate(dir, authority, { names: ["*.example.com"] });
    const read = (change: Partial<typeof files>): Promise<unknown> =>
      readOperatorCertificate({ ...files, ...change, preferredName: "203.0.113.7" });
    await expect(read({})).rejects.toThrow("names no host");
    await expect(read({ certificate: join(dir, "none") })).rejects.toThrow("cannot be read (ENOENT)");
    await expect(read({ certificate: files.key })).rejects.toThrow("holds no certificate");
    await expect(read({ key: files.certificate })).rejects.toThrow("holds no private key");
    await writeFile(join(dir, "broken.pem"), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    await expect(read({ key: join(dir, "broken.pem") })).rejects.toMatchObject({
      code: "CERTIFICATE_UNREADABLE",
      message: expect.not.stringContaining("c2VjcmV0"),
    });
    const kept = join(dir, "kept.pem");
    await writeFile(kept, files.pem);
    await issueCertificate(dir, authority, { names: ["other.example.com"] });
    await expect(read({ certificate: kept })).rejects.toThrow("is not the key of the first certificate");
  });
});
