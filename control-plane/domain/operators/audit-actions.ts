/** Everything that the audit log can say an operator did, as `noun.verb`. */
export const auditActions = [
  "cluster.lock",
  "cluster.unlock",
  "cluster.drain",
  "cluster.undrain",
  "cluster.settings",
  "world.assign",
  "key.enrol",
  "key.rotate",
  "key.revoke",
  "signing-key.rotate",
  "signing-key.revoke",
  "signing-key.restore",
  "player.ban",
  "player.unban",
  "player.kick",
  "player.sign-out",
] as const;

export type AuditAction = (typeof auditActions)[number];
