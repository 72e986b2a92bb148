// Tokens as VS Code makes them: [grammar, script, …] on standard input; for each script its lines,
// for each line [start, end, scopes] of its tokens.
const fs = require("fs");
const { Registry, INITIAL, parseRawGrammar } = require("vscode-textmate");
const oniguruma = require("vscode-oniguruma");

async function main() {
  const wasm = require.resolve("vscode-oniguruma").replace(/main\.js$/, "onig.wasm");
  await oniguruma.loadWASM(fs.readFileSync(wasm).buffer);
  const [grammar, ...scripts] = JSON.parse(fs.readFileSync(0, "utf8"));
  const registry = new Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async () => parseRawGrammar(grammar, "whamm.json"),
  });
  const loaded = await registry.loadGrammar("source.whamm");
  const found = scripts.map((text) => {
    let state = INITIAL;
    return text.split("\n").slice(0, text.endsWith("\n") ? -1 : undefined).map((line) => {
      const result = loaded.tokenizeLine(line, state);
      state = result.ruleStack;
      return result.tokens.map((token) => [token.startIndex, token.endIndex, token.scopes]);
    });
  });
  process.stdout.write(JSON.stringify(found));
}

main();
