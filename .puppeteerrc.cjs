/** Set-up finds or installs a browser by itself (tools/setup.mjs); puppeteer's own download must not run. */
module.exports = { skipDownload: true };
