"use strict";
// One participant's way through the study. Text reaches the page as text only; nothing is asked of the network
// but the videos. Answers stay in this browser (localStorage) until the participant downloads them.

const study = JSON.parse(document.getElementById("study").textContent);
const stage = document.getElementById("stage");

const CHOICES = {
  realism: "Which video looks more like a real recording?",
  sync: "In which video do the lips move more in step with the speech?",
  emotion: "In which video does the face's emotion match the voice better?",
};
const RATING = "How real does this video look?";
const GRADES = ["bad", "poor", "fair", "good", "excellent"];
const NAMING = "Which emotion does this person show?";

// FNV-1a, 32 bits.
function hashOf(text) {
  let hash = 2166136261;
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
  return hash >>> 0;
}

// Mulberry32: numbers in [0, 1) from a 32-bit seed.
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// This participant's order; half of the participants see every choice with its sides exchanged.
function planFor(participant) {
  const random = randomFrom(hashOf(`${study.id}:${participant}`));
  const mirrored = random() < 0.5;
  const items = study.items.map((item) => ({
    ...item,
    videos: mirrored ? [...item.videos].reverse() : [...item.videos],
  }));
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other], items[last]];
  }
  return { mirrored, items };
}

function newName() {
  const words = crypto.getRandomValues(new Uint32Array(3));
  return [...words].map((word) => word.toString(16).padStart(8, "0")).join("");
}

function nameInAddress() {
  const name = new URLSearchParams(location.search).get("participant") || "";
  return /^[A-Za-z0-9_-]{1,64}$/.test(name) ? name : "";
}

const shelf = `s2v-study-${study.id}-${nameInAddress()}`;

function savedProgress() {
  try {
    const saved = JSON.parse(localStorage.getItem(shelf));
    const known = new Set(study.items.map((item) => item.id));
    if (saved && /^[A-Za-z0-9_-]{1,64}$/.test(saved.participant) && Array.isArray(saved.answers)) {
      return { participant: saved.participant, answers: saved.answers.filter((one) => one && known.has(one.item)) };
    }
  } catch {
    // Storage is switched off, or holds something else: the participant begins anew.
  }
  return { participant: nameInAddress() || newName(), answers: [] };
}

let progress = savedProgress();
let plan = planFor(progress.participant);

function save() {
  try {
    localStorage.setItem(shelf, JSON.stringify(progress));
  } catch {
    // Without storage the study still works, in one sitting.
  }
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function show(heading, ...children) {
  const title = element("h1", { tabIndex: -1, textContent: heading });
  stage.replaceChildren(title, ...children);
  title.focus();
}

function answersOf(item) {
  if (item.kind === "choice") return item.videos.map((video, at) => [video, `Video ${at + 1}`]);
  if (item.kind === "rating") return GRADES.map((grade, at) => [at + 1, `${at + 1} ${grade}`]);
  return study.emotions.map((emotion, at) => [emotion, `${at + 1} ${emotion}`]);
}

function headingOf(item) {
  if (item.kind === "choice") return CHOICES[item.question];
  return item.kind === "rating" ? RATING : NAMING;
}

let onKey = () => {};

function showItem(item) {
  const began = performance.now();
  let picked = null;
  const unseen = new Set(item.videos);
  const hint = element("p", { className: "hint" });
  const next = element("button", { type: "button", className: "next", textContent: "Next (Enter)", disabled: true });

  function refresh() {
    next.disabled = picked === null || unseen.size > 0;
    if (unseen.size > 0) hint.textContent = "Watch to the end, with sound. Keys: P plays, numbers answer, Enter goes on.";
    else hint.textContent = picked === null ? "Now answer." : "";
  }

  const videos = item.videos.map((name) => {
    const video = element("video", { src: `videos/${name}`, controls: true, playsInline: true, preload: "auto" });
    video.addEventListener("play", () => videos.forEach((other) => other !== video && other.pause()));
    video.addEventListener("ended", () => {
      unseen.delete(name);
      refresh();
    });
    video.addEventListener("error", () => {
      hint.textContent = "A video didn't load: check the connection and reload this page. Your answers are kept.";
    });
    return video;
  });
  const figures = videos.map((video, at) =>
    element("figure", {}, video, element("figcaption", { textContent: videos.length > 1 ? `Video ${at + 1}` : "" })),
  );
  const answers = answersOf(item);
  const buttons = answers.map(([answer, label]) => {
    const button = element("button", { type: "button", textContent: label });
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => pick(answer));
    return button;
  });

  function pick(answer) {
    picked = answer;
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(answers[at][0] === answer)));
    refresh();
  }

  function goOn() {
    if (next.disabled) return;
    progress.answers.push({ item: item.id, answer: picked, ms: Math.round(performance.now() - began) });
    save();
    showNext();
  }

  next.addEventListener("click", goOn);
  onKey = (event) => {
    const onButton = event.target && event.target.tagName === "BUTTON";
    const onVideo = event.target && event.target.tagName === "VIDEO";
    const number = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
    if (number > 0 && number <= answers.length) pick(answers[number - 1][0]);
    else if (event.key === "p" || event.key === "P") (videos.find((_, at) => unseen.has(item.videos[at])) || videos[0]).play();
    else if (!onVideo && item.kind === "choice" && event.key === "ArrowLeft") pick(answers[0][0]);
    else if (!onVideo && item.kind === "choice" && event.key === "ArrowRight") pick(answers[1][0]);
    else if (event.key === "Enter" && !next.disabled && (!onButton || event.target.getAttribute("aria-pressed") === "true")) goOn();
    else return;
    event.preventDefault();
  };

  const done = progress.answers.length;
  const bar = element("progress", { max: plan.items.length, value: done });
  bar.setAttribute("aria-label", `${done} of ${plan.items.length} answered`);
  refresh();
  show(
    headingOf(item),
    bar,
    element("div", { className: "videos" }, ...figures),
    element("div", { className: "answers" }, ...buttons),
    hint,
    next,
  );
}

function showIntroduction() {
  onKey = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      showNext();
    }
  };
  const start = element("button", { type: "button", className: "next", textContent: "Start (Enter)" });
  start.addEventListener("click", showNext);
  show(
    study.title,
    element("p", { textContent: `You will watch short videos and answer ${plan.items.length} questions about them.` }),
    element("p", { textContent: "Please use headphones or switch the sound on. There are no right answers to most questions: say what you see." }),
    element("p", { textContent: "Your answers stay in this browser, also if you close it, until you download them at the end." }),
    start,
  );
}

// At a computer that several people use, the next one must neither go on as the last one nor find no questions.
function showReturn() {
  const done = progress.answers.length;
  const goOn = element("button", { type: "button", className: "next", textContent: "Go on (Enter)" });
  goOn.addEventListener("click", showNext);
  const other = element("button", { type: "button", textContent: "I am somebody else" });
  other.addEventListener("click", beginAnew);
  onKey = (event) => {
    if (event.key !== "Enter" || event.target === other) return;
    event.preventDefault();
    showNext();
  };
  show(
    "Welcome back",
    element("p", { textContent: `In this browser, ${done} of ${plan.items.length} questions are answered. Was that you?` }),
    // an address with a name is one person's
    element("div", { className: "answers" }, goOn, ...(nameInAddress() ? [] : [other])),
  );
}

function beginAnew() {
  try {
    localStorage.setItem(`${shelf}-${progress.participant}`, JSON.stringify(progress)); // nobody's answers are lost
  } catch {
    // Without storage there is nothing to keep.
  }
  progress = { participant: newName(), answers: [] };
  plan = planFor(progress.participant);
  save();
  showIntroduction();
}

function result() {
  return JSON.stringify({
    format: "s2v-study-result-1",
    study: study.id,
    participant: progress.participant,
    mirrored: plan.mirrored,
    answers: progress.answers,
  });
}

function showEnd() {
  onKey = () => {};
  const file = new Blob([result()], { type: "application/json" });
  const link = element("a", {
    className: "download",
    href: URL.createObjectURL(file),
    download: `study-${progress.participant}.json`,
    textContent: "Download your answers",
  });
  show(
    "Thank you!",
    element("p", { textContent: "Download your answers and send the file to the person who invited you." }),
    link,
  );
}

function showNext() {
  const answered = new Set(progress.answers.map((one) => one.item));
  const item = plan.items.find((one) => !answered.has(one.id));
  if (item) showItem(item);
  else showEnd();
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  onKey(event);
});

if (progress.answers.length > 0) showReturn();
else showIntroduction();
