/** Everything that a plugin runs in: its hooks, and the callbacks of its timers. The order numbers them for the watchdog. */
export const hookNames = [
  "onStart",
  "onAuth",
  "onJoin",
  "onDrop",
  "onResume",
  "onLeave",
  "onMessage",
  "onRequest",
  "onMove",
  "onTick",
  "onDrain",
  "onStop",
  "onLog",
  "timer",
  "onEnterFragment",
  "onLeaveFragment",
  "onThreshold",
  "onMail",
  "onMigrateOut",
  "onMigrateIn",
  "onLoad",
  "onCarry",
] as const;

export type HookName = (typeof hookNames)[number];

/** Told which hook runs, so that whoever watches from outside can say where the thread is stuck. */
export interface HookWatch {
  /** @returns what to give {@link leave}: hooks may run within hooks */
  enter(mark: number): number;
  leave(previous: number): void;
}

/** Nobody watches. */
export const unwatched: HookWatch = { enter: () => 0, leave: () => undefined };

/** Names a hook of a plugin, for {@link HookWatch}; 0 stands for none. */
export function hookMark(pluginIndex: number, hook: HookName): number {
  return pluginIndex * hookNames.length + hookNames.indexOf(hook) + 1;
}

/** What {@link hookMark} stands for. */
export function describeMark(mark: number, plugins: readonly string[]): string {
  if (mark === 0) return "no plugin hook";
  const hook = hookNames[(mark - 1) % hookNames.length];
  const plugin = plugins[Math.floor((mark - 1) / hookNames.length)];
  return `${hook ?? "a hook"} of plugin ${plugin ?? "unknown"}`;
}
