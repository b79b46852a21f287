# The demo's chain on real people: make real-faces CORPUS=DIR WEIGHTS=DIR
#   CORPUS   a corpus in VoxCeleb2's layout, square face crops, 36 people (another number: num_classes in identity_teacher.yaml)
#   WEIGHTS  a folder with mobilefacenet.pt and fer2013_mini_XCEPTION.102-0.66.hdf5
REAL := runs/real_faces
REAL_RUN = S2V_WEIGHTS="$(WEIGHTS)" $(call DEMO_ENV,1) $(BIN)/s2v $(1) --config experiments/base/trainer.yaml --config experiments/real_faces/real_faces.yaml
# $(1): folder of runs, $(2): run folder, $(3): stage, $(4): more. Goes on with an interrupted run, unless something it stands on
# is newer; otherwise starts from nothing, so that no older run's files stay behind. A finished one, hours of work, is kept aside.
REAL_STAGE_IN = @part=$(1)/$(2)/unfinished.ckpt; resume=; \
	if [ -s $$part ] && [ -z "$$(find $^ -newer $$part)" ]; then resume="--ckpt_path $$part"; \
	elif [ -s $(1)/$(2)/last.ckpt ]; then rm -rf $(1)/$(2).before; mv $(1)/$(2) $(1)/$(2).before; \
		echo "== $(2) is older than what it stands on: it is trained anew, the old one is in $(1)/$(2).before"; \
	else rm -rf $(1)/$(2); fi; \
	echo "== $(2)$${resume:+, from where it was interrupted}"; mkdir -p $(1)/$(2); started=$$SECONDS; \
	$(call REAL_RUN,fit) --config experiments/demo/$(3).yaml --config experiments/real_faces/$(3).yaml $(4) \
		--config experiments/real_faces/unfinished.yaml --run_dir $(1)/$(2) $$resume \
		>> $(1)/$(2)/log.txt 2>&1 || { tail -n 20 $(1)/$(2)/log.txt >&2; exit 1; }; rm -f $$part; echo "   $(2): $$((SECONDS - started)) s"
REAL_STAGE = $(call REAL_STAGE_IN,$(REAL),$(1),$(2),$(3))
REAL_NETWORKS := --config experiments/demo/representation.yaml --config experiments/real_faces/representation.yaml
REAL_VOICE := --config experiments/base/speaker_encoder.yaml

.PHONY: real-faces
real-faces: $(REAL)/table1/table1.md ## both stages and the baselines on real people: CORPUS=DIR WEIGHTS=DIR (3 hours)
	@cat $(REAL)/table1/table1.md

# $(1): folder of runs, $(2): side of the frames
REAL_ASKED = test -d "$(CORPUS)" -a -d "$(WEIGHTS)" || { echo "make: real-faces needs CORPUS=DIR (VoxCeleb2's layout) and WEIGHTS=DIR, got CORPUS='$(CORPUS)' WEIGHTS='$(WEIGHTS)'" >&2; exit 2; }
REAL_CACHE = @$(REAL_ASKED); \
	$(call DEMO_ENV,1) $(BIN)/s2v prepare --root "$(CORPUS)" --layout voxceleb2 --cache $(1)/cache --size $(2) --workers 2; \
	realpath "$(CORPUS)" > $(1)/corpus.txt
# What is prepared is not prepared again: another corpus would get the first one's faces.
.PHONY: real-faces-corpus
real-faces-corpus:
	@test -s $(REAL)/cache/manifest.csv || $(REAL_ASKED)
	@for kept in $(REAL)/corpus.txt $(REAL_GPU)/corpus.txt; do \
		if [ -n "$(CORPUS)" -a -s $$kept ] && [ "$$(realpath -m "$(CORPUS)")" != "$$(cat $$kept)" ]; then \
			echo "make: $$(dirname $$kept) is of the corpus $$(cat $$kept), got CORPUS='$(CORPUS)': give that one, or move $$(dirname $$kept) away" >&2; exit 2; fi; done
$(REAL)/cache/manifest.csv: | real-faces-corpus $(INSTALLED)
	$(call REAL_CACHE,$(REAL),64)

# A published speaker encoder lies in a package: its weights are taken out, nothing of it is installed.
SPEAKER_ENCODER := resemblyzer==0.1.4
$(REAL)/speaker_encoder.pt: | $(INSTALLED)
	@folder=$$(mktemp -d); trap 'rm -rf '$$folder EXIT; mkdir -p $(@D); \
	$(BIN)/python -m pip download --quiet --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest $$folder $(SPEAKER_ENCODER); \
	$(BIN)/python -m zipfile -e $$folder/*.whl $$folder; mv $$folder/resemblyzer/pretrained.pt $@

REAL_SPEECH := cpc identity_teacher syncnet
REAL_BEFORE = experiments/real_faces/$(1).yaml experiments/demo/$(1).yaml $(REAL)/cache/manifest.csv
.SECONDEXPANSION:
$(REAL_SPEECH:%=$(REAL)/%/last.ckpt): $(REAL)/%/last.ckpt: $$(call REAL_BEFORE,$$*)
	$(call REAL_STAGE,$*,$*,)

# Who speaks by the published speaker encoder; and by CPC alone, as the paper has it.
$(REAL)/distill/last.ckpt: $(call REAL_BEFORE,distill) $(REAL)/cpc/last.ckpt $(REAL)/identity_teacher/last.ckpt $(REAL)/speaker_encoder.pt
	$(call REAL_STAGE,distill,distill,$(REAL_NETWORKS) $(REAL_VOICE))

$(REAL)/distill_cpc_alone/last.ckpt: $(call REAL_BEFORE,distill) $(REAL)/cpc/last.ckpt $(REAL)/identity_teacher/last.ckpt
	$(call REAL_STAGE,distill_cpc_alone,distill,$(REAL_NETWORKS) --model.init_args.speaker_checkpoint null)

$(REAL)/compose/last.ckpt: $(call REAL_BEFORE,compose) $(REAL)/distill/last.ckpt
	$(call REAL_STAGE,compose,compose,$(REAL_NETWORKS) $(REAL_VOICE))

$(REAL)/compose_cpc_alone/last.ckpt: $(call REAL_BEFORE,compose) $(REAL)/distill_cpc_alone/last.ckpt
	$(call REAL_STAGE,compose_cpc_alone,compose,$(REAL_NETWORKS) --model.init_args.stage1_checkpoint $(REAL)/distill_cpc_alone/last.ckpt)

# Beside speech2video the baselines, and all on the same clips.
$(REAL)/table1/table1.md: $(REAL)/compose/last.ckpt $(REAL)/compose_cpc_alone/last.ckpt $(REAL)/syncnet/last.ckpt
	S2V_WEIGHTS="$(WEIGHTS)" $(call DEMO_ENV,1) $(BIN)/s2v table1 --config experiments/table1/real_faces_small.yaml

# The same at 128 x 128, for minutes of a GPU: make real-faces-gpu CORPUS=DIR WEIGHTS=DIR. Speech has no size: stage 1, S2F's
# voice encoder and the lip-sync judge are those above.
REAL_GPU := runs/real_faces_gpu
REAL_AT_128 := --config experiments/real_faces/gpu.yaml

.PHONY: real-faces-gpu
real-faces-gpu: $(REAL_GPU)/table1/table1.md ## the same at 128 x 128, where there is a GPU: CORPUS=DIR WEIGHTS=DIR
	@cat $(REAL_GPU)/table1/table1.md

$(REAL_GPU)/cache/manifest.csv: | real-faces-corpus $(INSTALLED)
	$(call REAL_CACHE,$(REAL_GPU),128)

$(REAL_GPU)/identity_teacher/last.ckpt: $(call REAL_BEFORE,identity_teacher) $(REAL_GPU)/cache/manifest.csv
	$(call REAL_STAGE_IN,$(REAL_GPU),identity_teacher,identity_teacher,$(REAL_AT_128))

$(REAL)/voice_encoder/best.ckpt: $(REAL)/cache/manifest.csv $(REAL)/identity_teacher/last.ckpt
	@echo "== voice_encoder"; $(call REAL_RUN,fit) --config experiments/baselines/voice_encoder.yaml --config experiments/real_faces/voice_encoder.yaml > /dev/null

$(REAL_GPU)/compose/last.ckpt: experiments/real_faces/compose_gpu.yaml $(REAL)/distill/last.ckpt $(REAL_GPU)/identity_teacher/last.ckpt
	$(call REAL_STAGE_IN,$(REAL_GPU),compose,compose,$(REAL_NETWORKS) $(REAL_VOICE) $(REAL_AT_128) --config experiments/real_faces/compose_gpu.yaml)

$(REAL_GPU)/table1/table1.md: $(REAL_GPU)/compose/last.ckpt $(REAL)/syncnet/last.ckpt $(REAL)/voice_encoder/best.ckpt
	S2V_WEIGHTS="$(WEIGHTS)" $(call DEMO_ENV,1) $(BIN)/s2v table1 --config experiments/table1/real_faces_gpu.yaml

# The same at 64 x 64 on people whom nothing has seen (Fig. 4): make real-faces-unseen CORPUS=DIR WEIGHTS=DIR. Corpus, cache and
# the speaker encoder are those of make real-faces; its lip-sync judge is not, whose split has test clips of this one in training.
REAL_UNSEEN := runs/real_faces_unseen
REAL_SPLIT := --config experiments/real_faces/unseen.yaml

.PHONY: real-faces-unseen
real-faces-unseen: $(REAL_UNSEEN)/table1/table1.md ## the same on people not seen in training: CORPUS=DIR WEIGHTS=DIR (2 hours)
	@cat $(REAL_UNSEEN)/table1/table1.md

$(REAL_SPEECH:%=$(REAL_UNSEEN)/%/last.ckpt): $(REAL_UNSEEN)/%/last.ckpt: $$(call REAL_BEFORE,$$*) experiments/real_faces/unseen.yaml
	$(call REAL_STAGE_IN,$(REAL_UNSEEN),$*,$*,$(REAL_SPLIT))

$(REAL_UNSEEN)/distill/last.ckpt: $(call REAL_BEFORE,distill) $(REAL_UNSEEN)/cpc/last.ckpt $(REAL_UNSEEN)/identity_teacher/last.ckpt $(REAL)/speaker_encoder.pt
	$(call REAL_STAGE_IN,$(REAL_UNSEEN),distill,distill,$(REAL_NETWORKS) $(REAL_VOICE) $(REAL_SPLIT) --model.init_args.speaker_checkpoint $(REAL)/speaker_encoder.pt)

$(REAL_UNSEEN)/compose/last.ckpt: $(call REAL_BEFORE,compose) $(REAL_UNSEEN)/distill/last.ckpt
	$(call REAL_STAGE_IN,$(REAL_UNSEEN),compose,compose,$(REAL_NETWORKS) $(REAL_VOICE) $(REAL_SPLIT))

$(REAL_UNSEEN)/table1/table1.md: $(REAL_UNSEEN)/compose/last.ckpt $(REAL_UNSEEN)/syncnet/last.ckpt
	S2V_WEIGHTS="$(WEIGHTS)" $(call DEMO_ENV,1) $(BIN)/s2v table1 --config experiments/table1/real_faces_small_unseen.yaml
