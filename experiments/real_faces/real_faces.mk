# The demo's chain on real people: make real-faces CORPUS=DIR WEIGHTS=DIR
#   CORPUS   a corpus in VoxCeleb2's layout, square face crops
#   WEIGHTS  a folder with mobilefacenet.pt and fer2013_mini_XCEPTION.102-0.66.hdf5 (needs pip install '.[hdf5]')
REAL := runs/real_faces
REAL_RUN = S2V_WEIGHTS="$(WEIGHTS)" $(call DEMO_ENV,1) $(BIN)/s2v $(1) --config experiments/base/trainer.yaml --config experiments/real_faces/real_faces.yaml
REAL_STAGE = @echo "== $(1)"; rm -rf $(REAL)/$(1); mkdir -p $(REAL)/$(1); started=$$SECONDS; \
	$(call REAL_RUN,fit) --config experiments/demo/$(1).yaml $(2) --config experiments/real_faces/$(1).yaml \
		> $(REAL)/$(1)/log.txt 2>&1 || { tail -n 20 $(REAL)/$(1)/log.txt >&2; exit 1; }; echo "   $(1): $$((SECONDS - started)) s"
REAL_NETWORKS := --config experiments/demo/representation.yaml --config experiments/real_faces/representation.yaml \
	--config experiments/base/speaker_encoder.yaml

.PHONY: real-faces
real-faces: $(REAL)/table1/table1.md ## both stages and the baselines on real people: CORPUS=DIR WEIGHTS=DIR (1 1/2 hours)
	@cat $(REAL)/table1/table1.md

$(REAL)/cache/manifest.csv: | $(INSTALLED)
	@test -d "$(CORPUS)" -a -d "$(WEIGHTS)" || { echo "make: real-faces needs CORPUS=DIR (VoxCeleb2's layout) and WEIGHTS=DIR, got CORPUS='$(CORPUS)' WEIGHTS='$(WEIGHTS)'" >&2; exit 2; }
	$(call DEMO_ENV,1) $(BIN)/s2v prepare --root "$(CORPUS)" --layout voxceleb2 --cache $(REAL)/cache --size 64 --workers 2

$(REAL)/%/last.ckpt: experiments/real_faces/%.yaml experiments/demo/%.yaml $(REAL)/cache/manifest.csv
	$(call REAL_STAGE,$*,$(if $(filter distill compose,$*),$(REAL_NETWORKS)))

# A published speaker encoder lies in a package: its weights are taken out, nothing of it is installed.
SPEAKER_ENCODER := resemblyzer==0.1.4
$(REAL)/speaker_encoder.pt: | $(INSTALLED)
	@folder=$$(mktemp -d); trap 'rm -rf '$$folder EXIT; mkdir -p $(@D); \
	$(BIN)/python -m pip download --quiet --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest $$folder $(SPEAKER_ENCODER); \
	$(BIN)/python -m zipfile -e $$folder/*.whl $$folder; mv $$folder/resemblyzer/pretrained.pt $@

$(REAL)/distill/last.ckpt: $(REAL)/cpc/last.ckpt $(REAL)/identity_teacher/last.ckpt $(REAL)/speaker_encoder.pt
$(REAL)/compose/last.ckpt: $(REAL)/distill/last.ckpt

# Beside speech2video the baselines, and all four on the same clips.
$(REAL)/table1/table1.md: $(REAL)/compose/last.ckpt $(REAL)/syncnet/last.ckpt
	S2V_WEIGHTS="$(WEIGHTS)" $(call DEMO_ENV,1) $(BIN)/s2v table1 --config experiments/table1/real_faces_small.yaml
