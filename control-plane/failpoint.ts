/** `flow.step`: a place between two steps of a flow at which everything may stop. */
export type FailpointName = `${string}.${string}`;

let watcher: ((name: FailpointName) => void) | undefined;

/**
 * Marks a place between two durable steps. It does nothing, but for a test that watches: that one throws here, loses the
 * memory of all objects, and looks whether the next call carries on. test/workerd/crashes.test.ts finds all names in the
 * source by itself, and fails on one that it did not reach.
 */
export function failpoint(name: FailpointName): void {
  watcher?.(name);
}

/** For tests alone: `watch` is called at every failpoint, and may throw. `undefined` ends it. */
export function watchFailpoints(watch: ((name: FailpointName) => void) | undefined): void {
  watcher = watch;
}
