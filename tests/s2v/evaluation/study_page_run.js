"use strict";
// Runs a study page's script under a small stand-in for the DOM, answers everything by keys, and prints as JSON
// what was shown and what came out. Input (stdin): {study, script, search, prefer: [videos], stored, reloadAfter, another}.

const vm = require("node:vm");
const input = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));

class Element {
  constructor(tag) {
    this.tagName = tag.toUpperCase();
    this.children = [];
    this.listeners = {};
    this.attributes = {};
    this.textContent = "";
  }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  addEventListener(name, run) { (this.listeners[name] ??= []).push(run); }
  fire(name, event = {}) { (this.listeners[name] || []).forEach((run) => run(event)); }
  setAttribute(name, value) { this.attributes[name] = value; }
  getAttribute(name) { return this.attributes[name] ?? null; }
  focus() {}
  pause() { this.paused = true; }
  play() { this.fire("play"); this.fire("ended"); }
  all(tag) { return this.children.flatMap((child) => [...(child.tagName === tag ? [child] : []), ...child.all(tag)]); }
  set innerHTML(_) { throw new Error("innerHTML is set"); }
  set outerHTML(_) { throw new Error("outerHTML is set"); }
  insertAdjacentHTML() { throw new Error("insertAdjacentHTML is called"); }
}

const storage = new Map(input.stored === undefined ? [] : [[`s2v-study-${input.study.id}-${input.shelf || ""}`, input.stored]]);
let clock = 0;
let file = null;

function load() {
  const data = new Element("script");
  data.textContent = JSON.stringify(input.study);
  const stage = new Element("main");
  const document = new Element("document");
  document.getElementById = (id) => ({ study: data, stage })[id];
  document.createElement = (tag) => new Element(tag);
  vm.runInNewContext(input.script, {
    document,
    location: { search: input.search || "" },
    URLSearchParams,
    crypto: { getRandomValues: (words) => words.fill(7) },
    performance: { now: () => (clock += 3000) },
    localStorage: { getItem: (name) => storage.get(name) ?? null, setItem: (name, text) => storage.set(name, text) },
    Blob: class { constructor(parts) { file = parts.join(""); } },
    URL: { createObjectURL: () => "blob:result" },
  });
  const press = (key) => document.fire("keydown", { key, preventDefault() {} });
  return { stage, press };
}

let { stage, press } = load();
const heading = () => stage.children[0].textContent;
const first = heading();
const screens = [];
const offered = stage.all("BUTTON").map((button) => button.textContent);
if (input.another) stage.all("BUTTON").find((button) => button.textContent === "I am somebody else").fire("click");
press("Enter");
while (stage.all("VIDEO").length > 0) {
  const videos = stage.all("VIDEO").map((video) => video.src.replace("videos/", ""));
  const buttons = stage.all("BUTTON");
  const next = buttons.find((button) => button.className === "next");
  const answers = buttons.filter((button) => button !== next);
  const preferred = videos.length > 1 ? videos.findIndex((name) => input.prefer.includes(name)) : 0;
  press("Enter"); // nothing is answered yet: the screen stays
  const early = next.disabled && stage.all("VIDEO")[0].src === `videos/${videos[0]}`;
  press(String(Math.max(preferred, 0) + 1));
  const unwatched = next.disabled;
  videos.forEach(() => press("p"));
  screens.push({
    heading: heading(),
    videos,
    answers: answers.map((button) => button.textContent),
    pressed: answers.filter((button) => button.getAttribute("aria-pressed") === "true").length,
    guarded: early && unwatched && !next.disabled,
  });
  press("Enter");
  if (screens.length === input.reloadAfter) {
    ({ stage, press } = load());
    press("Enter"); // welcome back
  }
}
console.log(JSON.stringify({ first, offered, screens, last: heading(), file, stored: [...storage.keys()] }));
