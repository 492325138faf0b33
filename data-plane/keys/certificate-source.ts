import type { ClusterSettings } from "../config/settings.ts";
import { type Certificate, ensureCertificate } from "./certificate.ts";
import { readOperatorCertificate } from "./operator-certificate.ts";

type CertificateSettings = Pick<ClusterSettings, "keysDir" | "keyName" | "tlsCert" | "tlsKey" | "advertisedHost">;

/**
 * The certificate that a cluster should show now: the operator's where the settings name one, else its own, which is made when there is
 * none yet or it is about to expire.
 *
 * @throws KeyError when there is none that can be used
 */
export async function loadCertificate(
  { keysDir, keyName, tlsCert, tlsKey, advertisedHost }: CertificateSettings,
  keyId: string,
  now: Date,
): Promise<Certificate> {
  return tlsCert === undefined || tlsKey === undefined
    ? ensureCertificate(keysDir, keyName, keyId, now)
    : readOperatorCertificate({ certificate: tlsCert, key: tlsKey, preferredName: advertisedHost });
}
