// Starts `whamm-cm lsp` for scripts, and hands on the settings.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = function () {
  const settings = workspace.getConfiguration("whamm-cm");
  const server = { command: settings.get("command", "whamm-cm"), args: ["lsp"] };
  client = new LanguageClient("whamm-cm", server, {
    documentSelector: [{ language: "whamm" }],
    initializationOptions: {
      component: settings.get("component", ""),
      libraries: settings.get("libraries", {}),
    },
    synchronize: { configurationSection: "whamm-cm" },
  });
  return client.start();
};

exports.deactivate = function () {
  return client && client.stop();
};
