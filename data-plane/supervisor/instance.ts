import type { ClusterSettings } from "../config/settings.ts";

/** The variable by which a supervisor tells a process which of its instances it is, from 0. */
export const instanceVariable = "SUSTENET_INSTANCE_INDEX";

/** Which instance of a supervisor this process is; `undefined` without a supervisor. */
export function instanceIndex(environment: Readonly<Record<string, string | undefined>>): number | undefined {
  const text = environment[instanceVariable];
  return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : undefined;
}

/** What an instance registers as. */
export function instanceName(name: string, index: number): string {
  return `${name}-${index + 1}`;
}

/** The settings of one instance: a name of its own (`main-1`, `main-2`, …) and the next ports. */
export function settingsOfInstance(settings: ClusterSettings, index: number): ClusterSettings {
  return {
    ...settings,
    instance: instanceName(settings.instance, index),
    port: next(settings.port, index),
    advertisedPort: next(settings.advertisedPort, index),
    wsPort: settings.wsPort === undefined ? undefined : next(settings.wsPort, index),
    opsPort: settings.opsPort === undefined ? undefined : next(settings.opsPort, index),
  };
}

/** 0 is no port: it stays. */
function next(port: number, index: number): number {
  return port === 0 ? 0 : port + index;
}
