import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type KubernetesVersion = '1.20.15' | '1.36.3';

let places: Map<string, string> | undefined;

/**
 * Where `build.sh` has put a server. Builds nothing: a cold build takes minutes, and a test that hangs for minutes
 * tells nobody why.
 *
 * @param name     of the binary: `etcd`, `kube-apiserver`, `kubectl`, ...
 * @param version  that must stand in the server's go.mod; without one, the only version there is
 * @throws Error  not built yet, with the command that builds it
 */
export function binaryPath(name: string, version?: string): string {
  places ??= askBuildScript();
  const known = [...places.keys()].filter((it) =>
    version === undefined ? it.startsWith(`${name} `) : it === `${name} ${version}`,
  );
  const [key] = known;
  const path = key === undefined ? undefined : places.get(key);
  if (known.length !== 1 || path === undefined) {
    throw new Error(
      `test/servers/build.sh builds no single "${name} ${version ?? ''}", but: ${[...places.keys()].join(', ')}`,
    );
  }
  if (!existsSync(path)) {
    throw new Error(`${key} is not built. Run test/servers/build.sh all (needs Go; about 15 minutes the first time).`);
  }
  return path;
}

/**
 * A kubectl of the very version, for tests that look at a cluster the way an operator does. Both are built beside
 * their API server: what a machine has as `kubectl` is of any version, and 1.36's talks to 1.20 only by luck.
 */
export const kubectlPath = (version: KubernetesVersion): string => binaryPath('kubectl', version);

/** The script alone knows the layout of the cache and the hash of the recipe, so ask it and compute nothing twice. */
function askBuildScript(): Map<string, string> {
  const told = execFileSync('bash', [buildScript(), '--where', 'all'], { encoding: 'utf8' });
  return new Map(
    told
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [name, version, ...path] = line.split(' ');
        return [`${name} ${version}`, path.join(' ')] as const;
      }),
  );
}

/** This file runs compiled, from a build folder somewhere below the repo; the script is not copied there. */
function buildScript(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const script = join(folder, 'test', 'servers', 'build.sh');
    if (existsSync(script)) return script;
    if (folder === dirname(folder)) throw new Error('test/servers/build.sh is in no folder above this file.');
  }
}
