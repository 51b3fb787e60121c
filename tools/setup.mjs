// Set-up: everything that `npm start` and `npm test` need on a fresh clone. Says what it does and why; a step
// that is not needed does nothing. Plain JavaScript without packages, because it installs them.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { browserCache, findChrome, findSwiftShader, isUbuntu } from '../src/node/browsers.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** @param {string} text */
const say = (text) => process.stderr.write(`set-up: ${text}\n`);

/**
 * @param {string} problem
 * @param {string} remedy
 * @returns {never}
 */
function fail(problem, remedy) {
  say(`${problem}\n        ${remedy}`);
  process.exit(1);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} remedy what to do when it fails
 */
function run(command, args, remedy) {
  say(`$ ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', process.stderr, 'inherit'],
    // npm is a batch file on Windows, which only a shell can start.
    shell: process.platform === 'win32' && command === npm,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status !== 0) {
    fail(`that failed (${error?.message ?? `exit status ${status}`}).`, remedy);
  }
}

/** Commands of servers, and the Debian packages that have them. */
const SERVERS = { 'redis-server': 'redis-server', nginx: 'nginx-light', haproxy: 'haproxy' };

/** @param {string} command */
const has = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Node ${process.versions.node} is too old.`, 'Install Node 20.19 or later.');
  }
}

/** Whether a command can be started, whatever it makes of its arguments. @param {string} command */
const isThere = (command) => !spawnSync(command, ['-v'], { stdio: 'ignore' }).error;

/** `npm ci`, unless what package-lock.json asks for was installed since it last changed. */
function installPackages() {
  const lock = join(root, 'package-lock.json');
  const mark = join(root, 'node_modules', '.rill-installed');
  const wanted = readFileSync(lock, 'utf8');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) {
    return;
  }
  say('installing the packages of package-lock.json');
  run(npm, ['ci', '--no-audit', '--no-fund'], 'Check the network and the npm registry, then run npm run setup again.');
  writeFileSync(mark, wanted);
}

/** Typed descriptors of the shaders, from the WGSL itself, the CPU's kernels, compiled, and the program of its threads. */
function generateKernels() {
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  for (const script of ['generate-kernels.ts', 'generate-thread.ts']) {
    const path = join(root, 'tools', script);
    execFileSync(process.execPath, [tsx, path], { cwd: root, stdio: ['inherit', process.stderr, 'inherit'] });
  }
}

/** Installs Debian packages, as root or through sudo. @param {string[]} packages */
function aptInstall(packages) {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const remedy = `Install ${packages.join(' and ')} yourself, then run npm run setup again.`;
  const [command, ...rest] = [...sudo, 'apt-get'];
  run(command, [...rest, 'update', '-qq'], remedy);
  run(command, [...rest, 'install', '-y', '-qq', '--no-install-recommends', ...packages], remedy);
}

const isDebian = () => process.platform === 'linux' && existsSync('/etc/debian_version') && has('apt-get');
/** Whether Debian packages can be installed without asking anybody. */
const mayInstall = () =>
  process.getuid?.() === 0 || spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;

/** A Chrome or Chromium: the browser tests, and the software adapter inside it. */
function installChrome() {
  const found = findChrome();
  if (found) {
    return;
  }
  if (process.env.CHROME_PATH) {
    fail(`CHROME_PATH is ${process.env.CHROME_PATH}, where nothing is.`, 'Correct it, or unset it.');
  }
  say('no Chrome or Chromium found: one is needed for WebGPU in a browser, and for its software Vulkan driver');
  if (isDebian() && !isUbuntu() && mayInstall()) {
    aptInstall(['chromium']);
  } else {
    mkdirSync(browserCache, { recursive: true });
    const cli = join(root, 'node_modules', '@puppeteer', 'browsers', 'lib', 'cjs', 'main-cli.js');
    const remedy = 'Install Chrome or Chromium yourself, or set CHROME_PATH, then run npm run setup again.';
    run(process.execPath, [cli, 'install', 'chrome@stable', '--path', browserCache], remedy);
  }
  if (!findChrome()) {
    fail('still no Chrome or Chromium.', 'Install one, or set CHROME_PATH to its executable.');
  }
}

/** On Linux Node's WebGPU goes through the Vulkan loader. */
function installVulkanLoader() {
  if (process.platform !== 'linux') {
    return;
  }
  const folders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/lib'];
  const found = folders.some((folder) => existsSync(join(folder, 'libvulkan.so.1')));
  if (!found) {
    say('no Vulkan loader (libvulkan.so.1) found: Node’s WebGPU needs it');
    if (isDebian() && mayInstall()) {
      aptInstall(['libvulkan1']);
    } else {
      say('note: install it (Debian: libvulkan1; Fedora: vulkan-loader); until then headless Chrome does the work');
    }
  }
}

function checkSoftwareAdapter() {
  if (process.platform === 'linux' && !findSwiftShader()) {
    say('note: this Chrome brings no vk_swiftshader_icd.json; Node will need a GPU with a Vulkan driver');
  }
}

/** What the tests of the server talk to, and what stands before it: the long suite alone needs them. */
function installServers() {
  const packages = Object.entries(SERVERS).flatMap(([command, name]) => (isThere(command) ? [] : [name]));
  if (packages.length === 0) {
    return;
  }
  say(`the long suite tests the server beside ${packages.join(', ')}`);
  if (isDebian() && mayInstall()) {
    aptInstall(packages);
  } else {
    say(`note: install ${packages.join(', ')}; until then the tests that need them fail`);
  }
}

checkNode();
installPackages();
generateKernels();
installChrome();
installVulkanLoader();
checkSoftwareAdapter();
if (process.argv.includes('--servers')) {
  installServers();
}
