const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Whether it has the form of the ids that the identity service gives players. */
export function isPlayerId(text: string): boolean {
  return uuid.test(text);
}

/** What an audit row was about: the id of a player alone stands for `player:ID`. */
export function auditTarget(text: string): string {
  return isPlayerId(text) ? `player:${text.toLowerCase()}` : text;
}
