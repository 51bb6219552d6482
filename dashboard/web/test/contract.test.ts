// The stand-in answers what the contract says: what the page is developed against is what the agent serves.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
// @ts-expect-error plain JavaScript
import { answer, scenario } from "./fake.mjs";

const contract = JSON.parse(readFileSync("../../agent/openapi.json", "utf8"));
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, formats: { "date-time": true } });
ajv.addSchema({ $id: "contract", components: contract.components }, "contract");
ajv.addVocabulary(["components"]);

for (const name of ["full", "empty", "above", "bare"]) {
  test(`scenario ${name} is valid by the contract`, () => {
    const state = scenario(name);
    const id = state.findings[0]?.id;
    for (const [path, methods] of Object.entries<any>(contract.paths)) {
      const schema = methods.get?.responses["200"].content["application/json"]?.schema;
      const value = schema && answer(path.replace("{id}", id), new URLSearchParams(), state);
      if (!value) continue;
      const inContract = JSON.parse(JSON.stringify(schema).replaceAll("#/components", "contract#/components"));
      const validate = ajv.compile(inContract);
      assert.ok(validate(value), `${path}: ${ajv.errorsText(validate.errors)}`);
    }
  });
}
