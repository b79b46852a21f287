# The demo's stages as files: each is made from the ones before it, a changed config redoes only what follows.
DEMO := runs/demo
DEMO_CONFIGS := experiments/demo
DEMO_SIZE := 64
# One thread a process where two stages run side by side, two where one is alone. Freed memory is kept, not given back to the system at
# every step: without it a third of the time on a CPU goes into page faults.
DEMO_ENV = PYTHONWARNINGS=ignore OMP_NUM_THREADS=$(1) MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296
DEMO_FIT = $(call DEMO_ENV,$(1)) $(BIN)/s2v fit --config experiments/base/trainer.yaml --config $(DEMO_CONFIGS)/demo.yaml
DEMO_BASE := experiments/base/trainer.yaml $(DEMO_CONFIGS)/demo.yaml
# A stage that writes no checkpoint has failed, whatever it says.
DEMO_LOG = > $(DEMO)/$(1)/log.txt 2>&1 || { tail -n 20 $(DEMO)/$(1)/log.txt >&2; echo "demo: the stage $(1) failed; its whole output: $(DEMO)/$(1)/log.txt" >&2; exit 1; }
# $(1): stage, $(2): threads, $(3): more configs. Starts from nothing, so that no older run's files stay behind.
define DEMO_TRAIN
@rm -rf $(DEMO)/$(1); mkdir -p $(DEMO)/$(1)
@started=$$SECONDS; $(call DEMO_FIT,$(2)) --config $(DEMO_CONFIGS)/$(1).yaml $(3) $(call DEMO_LOG,$(1)); test -s $(DEMO)/$(1)/last.ckpt; echo "   $(1): $$((SECONDS - started)) s"
endef

.PHONY: demo
demo: ## synthesize a corpus, train both stages on it, and make videos from speech alone (12 to 30 minutes)
	@$(MAKE) --no-print-directory install
	@$(MAKE) --no-print-directory -j2 $(DEMO)/done
	@echo "== done: open $(DEMO)/contact_sheet.png, $(DEMO)/report.md and the videos in $(DEMO)/videos"

.PHONY: demo-clean
demo-clean: ## remove what the demo made
	rm -rf $(DEMO)

$(DEMO)/corpus/.made: data_modules/synthetic/*.py | $(INSTALLED)
	@echo "== 1/8 synthesize: six speakers, six emotions, twenty-four sentences"
	@$(call DEMO_ENV,1) $(BIN)/s2v synthesize --output $(DEMO)/corpus --layout crema_d --speakers 6 --clips-per-speaker 144 --sentences 24 --size $(DEMO_SIZE) --seed 665 --workers 2
	@touch $@

$(DEMO)/cache/manifest.csv: $(DEMO)/corpus/.made
	@echo "== 2/8 prepare: decode once into the cache"
	@$(call DEMO_ENV,1) $(BIN)/s2v prepare --root $(DEMO)/corpus --layout crema_d --cache $(DEMO)/cache --size $(DEMO_SIZE) --workers 2
	@touch $@

$(DEMO)/cpc/last.ckpt: $(DEMO_CONFIGS)/cpc.yaml $(DEMO_BASE) $(DEMO)/cache/manifest.csv
	@echo "== 3/8 CPC: a speech encoder, by contrastive prediction"
	$(call DEMO_TRAIN,cpc,1,)

$(DEMO)/identity_teacher/last.ckpt $(DEMO)/emotion_teacher/last.ckpt $(DEMO)/identity_judge/last.ckpt $(DEMO)/emotion_judge/last.ckpt: \
$(DEMO)/%/last.ckpt: $(DEMO_CONFIGS)/%.yaml $(DEMO_BASE) $(DEMO)/cache/manifest.csv
	@echo "== 4/8 faces: the $(subst _, ,$*), on real frames"
	$(call DEMO_TRAIN,$*,1,)

$(DEMO)/distill/last.ckpt: $(DEMO_CONFIGS)/distill.yaml $(DEMO_CONFIGS)/representation.yaml $(DEMO)/cpc/last.ckpt $(DEMO)/identity_teacher/last.ckpt $(DEMO)/emotion_teacher/last.ckpt
	@echo "== 6/8 stage 1, distill: identity and emotion from the voice"
	$(call DEMO_TRAIN,distill,1,--config $(DEMO_CONFIGS)/representation.yaml)

# After stage 1's inputs, so that it runs beside stage 1 and not before it.
$(DEMO)/syncnet/last.ckpt: $(DEMO_CONFIGS)/syncnet.yaml $(DEMO_BASE) $(DEMO)/cache/manifest.csv | $(DEMO)/cpc/last.ckpt $(DEMO)/emotion_teacher/last.ckpt
	@echo "== 5/8 SyncNet: do these lips belong to this speech?"
	$(call DEMO_TRAIN,syncnet,1,)

$(DEMO)/identity_judge/last.ckpt $(DEMO)/emotion_judge/last.ckpt: | $(DEMO)/syncnet/last.ckpt

$(DEMO)/compose/last.ckpt: $(DEMO_CONFIGS)/compose.yaml $(DEMO)/distill/last.ckpt | $(DEMO)/syncnet/last.ckpt $(DEMO)/identity_judge/last.ckpt $(DEMO)/emotion_judge/last.ckpt
	@echo "== 7/8 stage 2, compose: talking faces, against three discriminators"
	$(call DEMO_TRAIN,compose,2,--config $(DEMO_CONFIGS)/representation.yaml)

$(DEMO)/report.json: $(DEMO_CONFIGS)/report.yaml $(DEMO)/compose/last.ckpt $(DEMO)/syncnet/last.ckpt $(DEMO)/identity_judge/last.ckpt $(DEMO)/emotion_judge/last.ckpt
	@echo "== 8/8 test: unheard sentences against real frames"
	@mkdir -p $(DEMO)/report
	@$(call DEMO_ENV,1) $(BIN)/s2v test --config experiments/base/trainer.yaml --config $(DEMO_CONFIGS)/demo.yaml --config $(DEMO_CONFIGS)/compose.yaml \
		--config $(DEMO_CONFIGS)/representation.yaml --config $(DEMO_CONFIGS)/report.yaml --ckpt_path $(DEMO)/compose/last.ckpt $(call DEMO_LOG,report)

# Beside the test.
$(DEMO)/videos/.made: experiments/demo/held_out_speech.py $(DEMO)/compose/last.ckpt
	@echo "== 8/8 export: videos from the speech of unheard sentences"
	@mkdir -p $(DEMO)/export
	@$(call DEMO_ENV,1) $(BIN)/python experiments/demo/held_out_speech.py $(DEMO)/cache $(DEMO)/corpus > $(DEMO)/speech.txt
	@$(call DEMO_ENV,1) xargs -a $(DEMO)/speech.txt $(BIN)/s2v export --checkpoint $(DEMO)/compose/last.ckpt --output $(DEMO)/videos --overwrite --speech $(call DEMO_LOG,export)
	@touch $@

$(DEMO)/done: $(DEMO)/report.json $(DEMO)/videos/.made
	@sed -n '/^ *test *$$/,/in the report/p' $(DEMO)/report/log.txt
	@touch $@
