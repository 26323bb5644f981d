//! What our operators of physical plans have in common, and our nodes of logical ones. Must not know any of them.

/// Of an operator's methods those of one without expressions.
macro_rules! without_expressions {
    () => {
        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(
                &::std::sync::Arc<dyn ::datafusion::physical_expr::PhysicalExpr>,
            ) -> ::datafusion::error::Result<
                ::datafusion::common::tree_node::TreeNodeRecursion,
            >,
        ) -> ::datafusion::error::Result<::datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(::datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }
    };
}

/// Of an operator's methods the older one that gives it other inputs, by the newer one.
macro_rules! with_new_children {
    () => {
        fn with_new_children(
            self: ::std::sync::Arc<Self>,
            children: Vec<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>>,
        ) -> ::datafusion::error::Result<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            let mode = ::datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
            self.replace_children(children, ::datafusion::physical_plan::ReplaceChildrenOptions::new(mode))
        }
    };
}

/// Of an operator's methods those of a leaf: it has neither expressions nor children.
macro_rules! leaf {
    () => {
        $crate::operator::without_expressions!();

        fn children(&self) -> Vec<&::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            Vec::new()
        }

        fn replace_children(
            self: ::std::sync::Arc<Self>,
            _: Vec<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>>,
            _: ::datafusion::physical_plan::ReplaceChildrenOptions,
        ) -> ::datafusion::error::Result<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            Ok(self)
        }

        fn with_new_children(
            self: ::std::sync::Arc<Self>,
            _: Vec<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>>,
        ) -> ::datafusion::error::Result<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            Ok(self)
        }
    };
}

/// Of an operator's methods those of one with a single input and without expressions, which does not keep what is known of
/// the order of its rows. It is said how it is made with another input.
macro_rules! one_input {
    (|$this:ident: &$own:ty, $input:ident| $made:expr) => {
        $crate::operator::without_expressions!();

        fn maintains_input_order(&self) -> Vec<bool> {
            vec![false]
        }

        fn benefits_from_input_partitioning(&self) -> Vec<bool> {
            vec![false]
        }

        fn children(&self) -> Vec<&::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            vec![&self.input]
        }

        fn replace_children(
            self: ::std::sync::Arc<Self>,
            mut children: Vec<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>>,
            _: ::datafusion::physical_plan::ReplaceChildrenOptions,
        ) -> ::datafusion::error::Result<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            let $this: &$own = &self;
            match children.pop() {
                Some($input) if children.is_empty() => Ok(::std::sync::Arc::new($made)),
                _ => ::datafusion::common::internal_err!("{} has one input", self.name()),
            }
        }

        $crate::operator::with_new_children!();
    };
}

/// Of the methods of a node of a logical plan those of one with a single input and without expressions. It is said how it is
/// made with another input.
macro_rules! one_input_node {
    (|$this:ident: &$own:ty, $input:ident| $made:expr) => {
        fn inputs(&self) -> Vec<&::datafusion::logical_expr::LogicalPlan> {
            vec![&self.input]
        }

        fn expressions(&self) -> Vec<::datafusion::logical_expr::Expr> {
            Vec::new()
        }

        fn with_exprs_and_inputs(
            &self,
            _: Vec<::datafusion::logical_expr::Expr>,
            mut inputs: Vec<::datafusion::logical_expr::LogicalPlan>,
        ) -> ::datafusion::error::Result<$own> {
            let $this: &$own = self;
            match inputs.pop() {
                Some($input) if inputs.is_empty() => $made,
                _ => ::datafusion::common::internal_err!("{} has one input", self.name()),
            }
        }
    };
}

/// The order among such nodes that plans are compared by: that of their inputs.
macro_rules! ordered_by_input {
    ($own:ty) => {
        impl PartialOrd for $own {
            fn partial_cmp(&self, other: &$own) -> Option<::std::cmp::Ordering> {
                self.input.partial_cmp(&other.input)
            }
        }
    };
}

pub(crate) use {leaf, one_input, one_input_node, ordered_by_input, with_new_children, without_expressions};
