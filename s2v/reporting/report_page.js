"use strict";
// Sorts tables and plays the videos of a clip in step. Nothing is asked of the network, nothing becomes HTML.

const LARGEST_DRIFT = 0.06; // seconds, one and a half frames at 25 a second

// Numbers before words, in which "9/12" comes before "10/12"; cells without either last, whichever way is sorted.
function compareCells(one, other, sign) {
  const [a, b] = [one.dataset.value, other.dataset.value];
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference);
}

function sortBy(heading) {
  const column = [...heading.parentNode.children].indexOf(heading);
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = heading.closest("table").tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) => compareCells(a.cells[column], b.cells[column], descending ? -1 : 1));
  body.append(...rows);
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

function ready(video) {
  if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA || video.error) return Promise.resolve();
  return new Promise((resolve) => {
    video.addEventListener("canplay", resolve, { once: true });
    video.addEventListener("error", resolve, { once: true });
    video.load();
  });
}

// The videos of one clip: the one that is heard leads, the others follow its clock.
function linkVideos(clip) {
  const videos = [...clip.querySelectorAll("video")];
  const play = clip.querySelector("button.play");
  const sounds = [...clip.querySelectorAll("button.sound")];
  let leader = videos[0];
  let together = false;

  function hear(chosen) {
    leader = videos[chosen];
    videos.forEach((video, at) => (video.muted = at !== chosen));
    sounds.forEach((sound, at) => sound.setAttribute("aria-pressed", String(at === chosen)));
  }

  function show() {
    play.textContent = together ? "Pause" : "Play together";
  }

  function align() {
    if (!together) return;
    for (const video of videos) {
      if (video === leader || video.ended || video.seeking) continue;
      if (Math.abs(video.currentTime - leader.currentTime) > LARGEST_DRIFT) video.currentTime = leader.currentTime;
    }
    requestAnimationFrame(align);
  }

  function stop() {
    together = false;
    videos.forEach((video) => video.pause());
    show();
  }

  async function start() {
    document.dispatchEvent(new CustomEvent("playing-together", { detail: clip }));
    const from = videos.some((video) => video.ended) ? 0 : leader.currentTime;
    await Promise.all(videos.map(ready));
    for (const video of videos) video.currentTime = from;
    together = true;
    show();
    await Promise.allSettled(videos.map((video) => video.play()));
    align();
  }

  play.addEventListener("click", () => (together ? stop() : start()));
  sounds.forEach((sound, at) => sound.addEventListener("click", () => hear(at)));
  videos.forEach((video) => {
    video.addEventListener("ended", () => {
      if (together && videos.every((one) => one.ended || one.error)) stop();
    });
    video.addEventListener("pause", () => {
      // Paused by its own controls: all of them stop.
      if (together && !video.ended) stop();
    });
  });
  document.addEventListener("playing-together", (event) => event.detail !== clip && together && stop());
  hear(0);
  play.hidden = videos.length < 2; // one alone has its own controls
  sounds.forEach((sound) => (sound.hidden = videos.length < 2));
}

document.querySelectorAll(".clip").forEach(linkVideos);
