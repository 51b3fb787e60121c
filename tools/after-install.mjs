// npm runs this in a checkout when node_modules has changed (`dependencies` in package.json), and never where Rill is a
// dependency: `prepare` in its place would make the npm of everybody who installs a packed file or from git warn.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

// The packed package was built before; its folder has no shaders.
if (existsSync('shaders')) {
  // Set by npm in the clone of a package that it installs from git: that is packed as it lies, and must have been built.
  const isInstalledFromGit = process.env._PACOTE_NO_PREPARE_ !== undefined;
  const script = isInstalledFromGit ? 'prepack' : 'generate';
  execFileSync('npm', ['run', '-s', script], { stdio: 'inherit', shell: process.platform === 'win32' });
}
