// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// What TypeScript says of values as a package's types: {"package","type","values":[...]} on standard input; prints a list of texts for each, empty: it fits.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import ts from 'typescript';

const { package: name, type, values } = JSON.parse(fs.readFileSync(0, 'utf8'));
const folder = fs.mkdtempSync(path.join(process.cwd(), 'typed-'));
try {
  const files = values.map((value, i) => {
    const file = path.join(folder, `value${i}.mts`);
    fs.writeFileSync(file, `import Vendor from '${name}';\nexport const value: ${type} = ${JSON.stringify(value)};\n`);
    return file;
  });
  const program = ts.createProgram(files, {
    strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext, types: [],
  });
  const said = ts.getPreEmitDiagnostics(program);
  const text = (one) => ts.flattenDiagnosticMessageText(one.messageText, os.EOL);
  console.log(JSON.stringify(files.map((file) => said.filter((one) => one.file?.fileName === file).map(text))));
} finally {
  fs.rmSync(folder, { recursive: true });
}
