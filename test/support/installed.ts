import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const modules = join(import.meta.dirname, "../../node_modules");
const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/**
 * Puts packages, and all that they depend on, into a project's `node_modules`, from those that are installed here: npm then finds
 * there what it would fetch otherwise, and a test needs no registry.
 */
export function provideInstalled(project: string, names: readonly string[]): void {
  const waiting = [...names];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const from = join(modules, name);
    const to = join(project, "node_modules", name);
    // Optional ones of other platforms are not here.
    if (existsSync(to) || !existsSync(from)) continue;
    cpSync(from, to, { recursive: true });
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(from, "package.json"), "utf8")));
    waiting.push(...Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }));
  }
}
