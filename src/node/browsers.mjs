// Where browsers and the software Vulkan driver are. Plain JavaScript, because set-up runs before anything is installed.

import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Where set-up lets @puppeteer/browsers put a browser when the platform has none. */
export const browserCache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rill', 'browsers');

const CHROME_NAMES = ['google-chrome-stable', 'google-chrome', 'chromium', 'chromium-browser', 'chrome'];
const CHROME_PLACES = {
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ],
  win32: ['PROGRAMFILES', 'PROGRAMFILES(X86)', 'LOCALAPPDATA'].map((name) =>
    join(process.env[name] ?? '', 'Google', 'Chrome', 'Application', 'chrome.exe'),
  ),
};
const FIREFOX_NAMES = ['firefox', 'firefox-esr'];

/** Ubuntu and its relatives have Chromium as a snap only: closed off, without the driver that Node could use. */
export const isUbuntu = () =>
  existsSync('/etc/os-release') && /^ID(_LIKE)?=.*ubuntu/m.test(readFileSync('/etc/os-release', 'utf8'));

/** @param {readonly string[]} names */
function onPath(names) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file));
}

/** A browser that @puppeteer/browsers installed earlier: `<cache>/chrome/<platform>-<version>/…`. */
function inCache() {
  const root = join(browserCache, 'chrome');
  const builds = existsSync(root) ? readdirSync(root).sort().reverse() : [];
  return builds
    .flatMap((build) => [
      join(root, build, 'chrome-linux64', 'chrome'),
      join(root, build, 'chrome-win64', 'chrome.exe'),
      ...['arm64', 'x64'].map((arch) =>
        join(
          root,
          build,
          `chrome-mac-${arch}`,
          'Google Chrome for Testing.app',
          'Contents',
          'MacOS',
          'Google Chrome for Testing',
        ),
      ),
    ])
    .find((file) => existsSync(file));
}

/** @returns {string | undefined} the executable of a Chrome or Chromium; CHROME_PATH comes first */
export function findChrome() {
  const named = process.env.CHROME_PATH;
  if (named) {
    return existsSync(named) ? named : undefined;
  }
  const places = CHROME_PLACES[/** @type {keyof typeof CHROME_PLACES} */ (process.platform)] ?? [];
  const names = CHROME_NAMES.filter((name) => !(name.startsWith('chromium') && isUbuntu()));
  return onPath(names) ?? places.find((file) => existsSync(file)) ?? inCache();
}

/** @returns {string | undefined} the executable of a Firefox; FIREFOX_PATH comes first */
export function findFirefox() {
  const named = process.env.FIREFOX_PATH;
  return named ? (existsSync(named) ? named : undefined) : onPath(FIREFOX_NAMES);
}

/** @returns {string | undefined} the manifest of SwiftShader, the software Vulkan driver that ships inside Chrome */
export function findSwiftShader() {
  const chrome = findChrome();
  const folders = [
    ...(chrome ? [dirname(realpathSync(chrome))] : []),
    '/usr/lib/chromium',
    '/usr/lib/chromium-browser',
    '/usr/lib64/chromium-browser',
    '/opt/google/chrome',
  ];
  return folders.map((folder) => join(folder, 'vk_swiftshader_icd.json')).find((file) => existsSync(file));
}
