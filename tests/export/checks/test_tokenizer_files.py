from pathlib import Path

import pytest

from export.checks.model_files import ModelFiles
from export.checks.tokenizer_files import explain_tokenizer
from export.checks.weight_names import fitting_weights
from export.errors import ExportError
from export.opening import open_model
from tests.export.checks.damage import set_in
from tests.export.tiny_models import plain_bert

BERT_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}


def test_a_tokenizer_that_can_be_read_is_not_blamed(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    (model / "tokenizer_config.json").unlink()
    set_in(model / "tokenizer.json", normalizer=BERT_NORMALIZER)
    explain_tokenizer(ModelFiles(str(model)), "")
    set_in(model / "config.json", model_type="marvellous")
    explain_tokenizer(ModelFiles(str(model)), "")


@pytest.mark.filterwarnings("ignore")
def test_weights_that_do_not_fit_are_named_without_a_tokenizer_config(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    (model / "tokenizer_config.json").unlink()
    set_in(model / "config.json", num_hidden_layers=3)
    with pytest.raises(ExportError, match=r"do not fit its config\.json"), fitting_weights("model"):
        open_model(ModelFiles(str(model)), "")
