import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

// The modules are grouped by the commands that need them: a command loads few chunks, because many small files are slow.
// A module is in the first group that matches it, together with its imports that are in no group before.
const groups = [
  {
    name: 'start',
    test: /src\/(base\/errors|cli\/(main|run-process|version|streams|command|exit-status)\.)|package\.json/,
  },
  { name: 'ssh2', test: /node_modules\/ssh2\// },
  { name: 'table', test: /node_modules\/(cli-table3|string-width)\// },
  { name: 'commands', test: /src\/cli\/(commands\/|completion\/|show-help|manual\/titles)/ },
  { name: 'program', test: /node_modules\/commander\/|src\/cli\/program\./ },
  {
    name: 'model',
    test: /src\/(base|cluster|machine|unit|registry\/(edit|inventory)|config\/(address|config))/,
  },
  {
    name: 'registry',
    test: /src\/(cli\/(registry|own-config)|operations\/unit-texts|config|registry|store(?!\/etcd))|node_modules\/(zod|ini)\//,
  },
  // Lists from fleetd do not load what asks machines.
  {
    name: 'lists',
    test: /src\/(schedule|api\/(client|snapshot|socket-get)|cli\/(snapshot-source|endpoint)|operations\/list-(units|machines|unit-files)|output\/(table|report|inventory))\b/,
  },
  {
    name: 'fleet',
    test: /src\/(?!controller|api|metrics|election|install|store\/etcd|cli\/(fleetd|install|remote-store)|operations\/install-controller|operations\/(sets|adopt)|output\/(sets|difference|installation|progress|watch|wide-text)|cli\/(load|watch)|(.*\/)?manual\/)/,
  },
  // Needed by few commands.
  { name: 'etcd', test: /src\/store\/etcd\// },
  { name: 'controller', test: /src\/(controller|api|metrics|election|cli\/fleetd)\// },
  {
    name: 'install',
    test: /src\/(install\/|cli\/(install\/|remote-store)|operations\/install-controller|output\/installation)/,
  },
  { name: 'manual', test: /src\/(.*\/)?manual\/(?!man-pages|titles)/ },
  { name: 'apply', test: /src\/((operations|output)\/sets\/|operations\/adopt)/ },
  { name: 'difference', test: /src\/output\/difference/ },
].map((group, index, all) => ({ ...group, priority: all.length - index }));

/** Leaves out the texts of tables that only the manual has; `npm run docs` writes them there. */
const withoutManualTexts = {
  name: 'without-manual-texts',
  transform(code, id) {
    if (!/\/src\/.*\.ts$/.test(id)) return null;
    const text = /(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`[^`]*`)/.source;
    const property = new RegExp(
      String.raw`(?<=^\s*|[{] )manual:\s*(?:${text}|\[\s*${text},\s*${text},?\s*\]),?`,
      'gm',
    );
    const short = code.replace(property, '');
    // What remains are types and the names of files.
    if (/^\s+manual:|\.manual\b|[{,] manual[ ,:]/m.test(short))
      throw new Error(`${id} uses the texts of the manual`);
    return short;
  },
};

/** The packages whose programs fleet never starts: those of commander's subcommands, and of ssh2's agents for Windows. */
const withoutPrograms = {
  name: 'without-programs',
  resolveId(name, importer = '') {
    const [, folder] = /\/node_modules\/(commander|ssh2)\//.exec(importer) ?? [];
    return folder !== undefined && /^(node:)?child_process$/.test(name) ? `\0no-programs-${folder}` : null;
  },
  load: (id) => (id.startsWith('\0no-programs') ? 'module.exports = {};' : null),
};

/**
 * ssh2 compiles WebAssembly at its start, for chacha20-poly1305 without native parts: 2 MB of memory and milliseconds. Here it is
 * compiled when a connection first uses that cipher, which hosts with AES-GCM never agree on.
 */
const lazyPoly1305 = {
  name: 'lazy-poly1305',
  transform(code, id) {
    if (id.endsWith('/ssh2/lib/protocol/crypto/poly1305.js'))
      return replaced(code, [/if\(b\.instantiateWasm\)/, `${COMPILE_AT_ONCE}$&`]);
    if (!id.endsWith('/ssh2/lib/protocol/crypto.js')) return null;
    const [init, name] = [
      /init: \(\(\) => \{[\s\S]*?\}\)\(\),/,
      /class ChaChaPoly(?:C|Dec)ipherNative \{\s+constructor\(config\) \{/g,
    ];
    return `${replaced(code, [init, 'init: Promise.resolve(),'], [name, '$&\nloadPoly1305();'])}\n${LOAD_POLY1305}`;
  },
};
const COMPILE_AT_ONCE = `b.instantiateWasm = (imports, done) => {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(pa()), imports);
  done(instance);
  return instance.exports;
};`;
const LOAD_POLY1305 = `function loadPoly1305() {
  if (POLY1305_WASM_MODULE !== undefined) return;
  POLY1305_WASM_MODULE = {};
  require('./crypto/poly1305.js')(POLY1305_WASM_MODULE);
  POLY1305_RESULT_MALLOC = POLY1305_WASM_MODULE._malloc(16);
  const types = ['number', 'array', 'number', 'array', 'number', 'array'];
  poly1305_auth = POLY1305_WASM_MODULE.cwrap('poly1305_auth', null, types);
}`;

/**
 * What ssh2 loads or tries at its start, and a connection of fleet does not use, is left out or done when it is first used. Together it is
 * half of the time that loading ssh2 takes.
 */
const lightSsh2 = {
  name: 'light-ssh2',
  resolveId: (name, importer = '') =>
    importer.includes('/node_modules/ssh2/') && name.endsWith('/SFTP.js') ? '\0no-sftp' : null,
  load: (id) => (id === '\0no-sftp' ? 'module.exports = {};' : null),
  transform(code, id) {
    const found = SSH2_CHANGES.find(([file]) => file.test(id));
    return found === undefined ? null : replaced(code, ...found.slice(1));
  },
};
/** A file, and its changes. */
const SSH2_CHANGES = [
  [
    /\/ssh2\/lib\/client\.js$/,
    // It gets an open socket, and the verifier gets the host key itself.
    [
      /const \{ lookup: dnsLookup \} = require\('dns'\);/,
      "const dnsLookup = (...given) => require('dns').lookup(...given);",
    ],
    [/const HASHES = getHashes\(\);/, ''],
    [/HASHES\.indexOf/, 'getHashes().indexOf'],
  ],
  [
    /\/ssh2\/lib\/protocol\/constants\.js$/,
    // Native add-ons are not built.
    [/cpuInfo = require\('cpu-features'\)\(\);/, ''],
    // Node has ed25519, unless it is restricted to the algorithms of FIPS.
    [/const eddsaSupported = \(/, 'const eddsaSupported = crypto.getFips() === 0 || ('],
  ],
  [
    /\/ssh2\/lib\/protocol\/zlib\.js$/,
    [
      /const \{\s+createInflate,[\s\S]*?= require\('zlib'\);/,
      "let zlib;\nconst loaded = () => (zlib ??= require('zlib'));",
    ],
    [/const ZlibHandle = createInflate\(\)\._handle\.constructor;/, 'let ZlibHandle;'],
    [/new ZlibHandle\(/, 'new (ZlibHandle ??= loaded().createInflate()._handle.constructor)('],
    [/\b(?:(?:DE|IN)FLATE|Z_[A-Z_]+)\b/g, 'loaded().constants.$&'],
  ],
  [
    /\/asn1\/lib\/ber\/(?:reader|writer)\.js$/,
    [
      /require\('assert'\)/,
      '{ ok(value) { if (!value) throw new TypeError("asn1"); }, equal(a, b) { this.ok(a === b); } }',
    ],
  ],
];

function replaced(code, ...changes) {
  return changes.reduce((text, [from, to]) => {
    if (text.search(from) < 0) throw new Error(`this version of ssh2 has no ${from}`);
    return text.replace(from, to);
  }, code);
}

/** Loads a module of Node when it is first used, because most take a millisecond or more and a command uses few. */
const lazyBuiltins = {
  name: 'lazy-builtins',
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      const imports = chunk.code.matchAll(/^let (node_\w+) = require\("(node:[\w/]+)"\);$/gm);
      for (const [line, name, module] of imports) {
        // A default import is read at once.
        if (chunk.code.includes(`\n${name} = `)) continue;
        chunk.code = chunk.code
          .replaceAll(new RegExp(String.raw`\bnew ${name}\.(\w+)`, 'g'), `new (${name}().$1)`)
          .replaceAll(new RegExp(String.raw`\b${name}\.`, 'g'), `${name}().`)
          .replace(
            line,
            `let loaded_${name};\nconst ${name} = () => (loaded_${name} ??= require("${module}"));`,
          );
      }
    }
  },
};

/** Fails if a group has no module, for example after its folder was renamed. */
const groupCheck = {
  name: 'group-check',
  generateBundle(_, bundle) {
    const chunks = new Set(Object.values(bundle).map(({ name }) => name));
    const empty = groups.filter(({ name }) => !chunks.has(name));
    if (empty.length > 0) throw new Error(`no modules in: ${empty.map(({ name }) => name).join(', ')}`);
  },
};

/** Writes the man pages with the program that was just built; what they need beyond it is left out of the package. */
const manPages = {
  name: 'man-pages',
  async writeBundle({ dir }) {
    const entry = resolve(dir, 'man-pages.cjs');
    const pages = (await import(entry)).manPages();
    mkdirSync(resolve(dir, 'man'));
    for (const [file, text] of pages) writeFileSync(join(dir, 'man', file), text);
    rmSync(entry);
  },
};

/** Escapes all but ASCII, because Node decodes a file that is ASCII five times faster. */
const ascii = {
  name: 'ascii',
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (/String\.raw`[^`]*[^\0-\x7f]/.test(chunk.code)) throw new Error('String.raw knows no escapes');
      chunk.code = chunk.code.replaceAll(
        /[^\0-\x7f]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
    }
  },
};

/** Writes the licences of the packages that the bundle contains: most of them must go with every copy. */
const licences = {
  name: 'licences',
  writeBundle({ dir }, bundle) {
    const modules = Object.values(bundle).flatMap(({ moduleIds = [] }) => moduleIds);
    const folders = new Set(
      modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []),
    );
    const texts = [...folders].sort().map((folder) => {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      if (file === undefined) throw new Error(`${name} has no file with its licence`);
      return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
    });
    writeFileSync(join(dir, 'THIRD-PARTY-LICENCES'), texts.join(`\n${'-'.repeat(80)}\n\n`));
  },
};

export default {
  plugins: [
    withoutManualTexts,
    withoutPrograms,
    lightSsh2,
    lazyPoly1305,
    lazyBuiltins,
    ascii,
    groupCheck,
    manPages,
    licences,
  ],
  // Which chunk a module is in is said above; loading one that is there already costs nothing.
  checks: { ineffectiveDynamicImport: false },
  input: {
    fleetctl: 'src/cli/main.ts',
    fleetd: 'src/cli/fleetd/main.ts',
    load: 'src/cli/load.ts',
    'man-pages': 'src/cli/manual/man-pages.ts',
  },
  platform: 'node',
  // ssh2 tries a native add-on and does without it.
  external: [/sshcrypto\.node$/, '@colors/colors'],
  moduleTypes: { '.sh': 'text', '.service': 'text', '.socket': 'text', '.md': 'text' },
  output: {
    dir: 'dist',
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: 'chunks/[name].cjs',
    codeSplitting: { groups },
    comments: { jsdoc: false },
    cleanDir: true,
  },
};
