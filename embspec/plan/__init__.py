"""Pure: the stage protocol, ingredients, keys, reasons, which stages run."""
